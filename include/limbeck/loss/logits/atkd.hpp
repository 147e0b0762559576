#ifndef LIMBECK_LOSS_LOGITS_ATKD_HPP
#define LIMBECK_LOSS_LOGITS_ATKD_HPP

/// @file
/// Adaptive token-wise distillation (ATKD): what the teacher is sure of teaches its other classes alone.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/logits/decoupled.hpp>
#include <limbeck/signal/batch_statistics.hpp>
#include <limbeck/signal/signals.hpp>

LIMBECK_BEGIN_NAMESPACE

/// KL of the two-way distributions (q_y, 1 - q_y) and (p_y, 1 - p_y), y the label: `target_kl` the other way round. With (1 - q_y)
/// times the reverse KL over the other classes it is the reverse KL. Multiplied by T^2.
struct target_reverse_kl {
  using limbeck_loss = labelwise;
  static constexpr bool needs_rest = true;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr label_outcome<X> outcome(const label_point<X>& x) {
    point<X> target{}, rest{};
    target.p = x.p, target.q = x.q, target.log_ratio = x.log_ratio;
    rest.p = x.rest_p, rest.q = x.rest_q, rest.log_ratio = x.rest_log_ratio;
    detail::set_differences(target);
    detail::set_differences(rest);
    label_outcome<X> o;
    o.value = reverse_excess(target) + reverse_excess(rest);
    o.label = x.q * x.rest_q * (x.rest_log_ratio - x.log_ratio);
    o.rest = -o.label;
    return o;
  }
};

/// @cond
namespace detail {
template <loss Target, loss Others>
auto by_uncertainty(double lambda, const Target& target, const Others& others) {
  if (!(lambda >= 0 && lambda <= 1)) raise<value_error>("limbeck: atkd: lambda is " + show(lambda) + ", expected a fraction in [0, 1]");
  const auto uncertainty = 1 - of_teacher(label_probability{});
  const auto easy = uncertainty < median_of(uncertainty);
  const auto hard = !easy;
  // a mean over some of the rows; where all are as uncertain, none is easy
  const auto mean_over = [](const auto& some) { return some / clamp(share_of(some), 1e-9, 1.0); };
  return lambda * (mean_over(easy) * on<non_target>(others)) + (1 - lambda) * (mean_over(hard) * (target + on<non_target>(others)));
}
}  // namespace detail
/// @endcond

/// lambda mean_easy(DKD) + (1 - lambda) mean_hard(TKD + DKD): TKD is `target_kl`, the KL of the label against the rest, DKD the forward KL
/// among the other classes, without the factor 1 - p_y that the forward KL gives it.
///
/// Rows are hard where the teacher's uncertainty 1 - p_y is at least its median over the rows of the call, the lower one of two in the
/// middle; each mean is over its own rows. Needs labels. @p lambda is in [0, 1]. @throws value_error else. A call reads the teacher's
/// labels in a sweep of its own before; micro-batches have a median each.
///
/// Zhong et al., Revisiting Knowledge Distillation for Autoregressive Language Models, 2024, arXiv:2402.11890; after its authors' code,
/// which gives infinity or NaN for a saturated student and has no temperature.
inline auto atkd(double lambda = 0.2) { return detail::by_uncertainty(lambda, target_kl{}, forward_kl{}); }
/// The same of the reverse KLs; easy and hard are still the teacher's. Their code's `reverse` setting.
inline auto reverse_atkd(double lambda = 0.2) { return detail::by_uncertainty(lambda, target_reverse_kl{}, reverse_kl{}); }

LIMBECK_END_NAMESPACE

#endif
