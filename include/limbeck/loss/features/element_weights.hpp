#ifndef LIMBECK_LOSS_FEATURES_ELEMENT_WEIGHTS_HPP
#define LIMBECK_LOSS_FEATURES_ELEMENT_WEIGHTS_HPP

/// @file
/// A weight for every element of a loss that is a sum over columns.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/plan.hpp>

LIMBECK_BEGIN_NAMESPACE

/// A sum over columns whose terms are weighed one by one; made by `element_weights`.
template <class Loss, class Scalar, class Memory = host_rows>
struct element_weights_loss {
  using limbeck_loss = rowwise;
  using memory = Memory;
  static_assert(detail::is<Loss, logitwise>,
                "limbeck: element_weights takes a loss that is a sum over columns of a function of two numbers: mse, l1, "
                "smooth_l1, barron, bce_with_logits, bernoulli");
  static constexpr bool needs_teacher = detail::needs_teacher<Loss>();
  static constexpr bool of_features = true;
  static constexpr int temperature_power = Loss::temperature_power;
  static constexpr bool fixed_temperature = detail::fixed_temperature<Loss>;
  static constexpr bool fixed_teacher_temperature = detail::fixed_teacher_temperature<Loss>;

  rows<const Scalar> weights;  ///< one an element of the call
  Loss loss;                   ///< of one element

  void check_call(std::size_t samples, std::size_t columns, double student_temperature, double teacher_temperature) const {
    if (weights.samples != samples || weights.classes != columns)
      detail::throw_shape("element_weights", weights.samples, weights.classes, samples, columns);
    if constexpr (requires { loss.check(); }) loss.check();
    if constexpr (requires { loss.check_call(samples, columns, student_temperature, teacher_temperature); })
      loss.check_call(samples, columns, student_temperature, teacher_temperature);
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    using X = pack<scalar_lanes<T>>;
    const std::size_t n = x.student.size();
    const T inverse_s = T(1) / x.student_temperature, inverse_t = needs_teacher ? T(1) / x.teacher_temperature : inverse_s;
    const auto at = [&](std::size_t c) {
      const T s = x.student[c], t = needs_teacher ? x.teacher[c] : s;
      point<X> p{};
      p.student = X(s * inverse_s), p.teacher = X(t * inverse_t);
      p.difference = inverse_s == inverse_t ? X((s - t) * inverse_s) : p.student - p.teacher;
      return p;
    };
    const auto weight = [&](std::size_t c) { return static_cast<T>(weights(x.index, c)); };
    const double over = detail::averages_columns<Loss> ? static_cast<double>(n) : 1;
    const double total = detail::sum_own<T, double>(x.team, n, [&](std::size_t c) {
      return static_cast<double>(weight(c) * loss.value(at(c)).v);
    });
    if (!x.gradient.empty()) {
      const T scale = static_cast<T>(static_cast<double>(x.scale * inverse_s) / over);
      x.each_own([&](std::size_t c) { x.gradient[c] += scale * weight(c) * loss.flow(at(c)).v; });
    }
    return static_cast<T>(total / over);
  }
};

/// A weight for each element: of a loss that is a sum or a mean over columns of phi(s_i, t_i), the same of w_i phi(s_i, t_i).
/// A mean still divides by the number of columns, not by that of their weights.
///
/// @param weights samples x columns, kept by view: named, in the memory of the call's tensors, of float or double; any
///        number, 0 leaves the element out. Row r goes with row r of the call.
/// @param loss logitwise: `mse`, `l1`, `smooth_l1`, `barron`, `bce_with_logits`, `bernoulli`
/// @throws shape_error at the call where the shape differs; value_error where a number of either side is not finite (what is
///         left out is looked at too), or as `loss`. O(samples x columns).
template <class Weights, class Loss>
auto element_weights(Weights&& weights, const Loss& loss) {
  detail::require_kept<Weights>();
  using Traits = tensor_traits<std::remove_cvref_t<Weights>>;
  const rows<const typename Traits::scalar> view = Traits::view(std::as_const(weights));
  return element_weights_loss<Loss, typename Traits::scalar, typename Traits::sweep>{view, loss};
}

LIMBECK_END_NAMESPACE

#endif
