#ifndef LIMBECK_LOSS_LOGITS_OFA_HPP
#define LIMBECK_LOSS_LOGITS_OFA_HPP

/// @file
/// Cross-entropy with a teacher whose label is made to count for more.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/objective/expression.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

inline void check_ofa_gamma(double gamma) {
  if (!(gamma > 0 && gamma < 1e3))
    raise<value_error>("limbeck: ofa.gamma is " + show(gamma) + ", expected a positive number below 1000");
}

/// x^gamma - x of x and its logarithm; 0 at gamma = 1, and small beside.
template <class X>
LIMBECK_INLINE X power_less_itself(const X& x, const X& log_x, double gamma) {
  using T = typename X::scalar;
  const X z = X(static_cast<T>(gamma - 1)) * log_x;
  const auto is_close = abs(z) < X(T(0.5));
  const X few = select(is_close, z, X(T(0)));
  return select(is_close, x * (few + few * few * exp_excess_ratio(-few)),
                exp2_any(X(static_cast<T>(gamma * log2e)) * log_x) - x);
}

/// -sum_i p_i^gamma log q_i.
struct ofa_classes {
  double gamma;
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;
  void check() const { check_ofa_gamma(gamma); }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    return -((x.p + power_less_itself(x.p, x.log_p, gamma)) * x.log_q);
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    return x.difference - power_less_itself(x.p, x.log_p, gamma);  // -p^gamma + q: see soft_cross_entropy
  }
};
/// What the label has beyond that: -((1 + p_y)^gamma - 1 - p_y^gamma) log q_y.
struct ofa_label {
  double gamma;
  using limbeck_loss = labelwise;
  static constexpr int temperature_power = 2;
  void check() const { check_ofa_gamma(gamma); }

  template <class X>
  LIMBECK_INLINE constexpr label_outcome<X> outcome(const label_point<X>& x) const {
    using T = typename X::scalar;
    const X zero(T(0)), tiny_p(detail::tiny<T>), log_sum = x.p - log1p_excess(x.p);  // log(1 + p)
    const X of_p = select(x.p < tiny_p, zero, power_less_itself(x.p, log(larger(x.p, tiny_p)), gamma));
    const X more = power_less_itself(X(T(1)) + x.p, log_sum, gamma) - of_p;
    label_outcome<X> o;
    o.value = -(more * x.log_q);
    o.softmax = more;
    o.label = -more;
    return o;
  }
};

}  // namespace detail

/// Cross-entropy -sum_i w_i log q_i with w_i = (p_i + [i = y])^gamma - [i = y], y the label: above gamma = 1 the label
/// weighs more than the teacher's p_y, the other classes less than theirs.
///
/// The weights do not sum to one; gamma = 1 is `soft_cross_entropy`, whose gradient is that of the forward KL. The
/// gradient is ((sum w) q - w)/T. Needs labels. Multiplied by T^2; the authors' code is not, and runs at T = 1. Their
/// students have this loss on their own logits and on those of heads at their stages, each with a gamma of 1 to 1.5.
/// @throws value_error where gamma is not positive or not below 1000. O(samples x classes).
///
/// Hao et al., One-for-All: Bridge the Gap Between Heterogeneous Architectures in Knowledge Distillation, 2023, and the
/// authors' `ofa_loss`.
struct ofa {
  using limbeck_loss = composite;
  double gamma = 1.5;  ///< the power, positive
  constexpr auto terms() const { return 1.0 * detail::ofa_classes{gamma} + detail::ofa_label{gamma}; }
};

LIMBECK_END_NAMESPACE

#endif
