#ifndef LIMBECK_LOSS_LOGITS_REVERSE_CROSS_ENTROPY_HPP
#define LIMBECK_LOSS_LOGITS_REVERSE_CROSS_ENTROPY_HPP

/// @file
/// Cross-entropy with the places exchanged: what a wrong label costs is bounded.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Reverse cross-entropy -sum_i q_i log y_i of a label, where log 0 is the constant `log_zero`: -log_zero (1 - q_y),
/// q = softmax(s/T). In [0, -log_zero].
///
/// Symmetric cross-entropy is `alpha * cross_entropy{} + beta * reverse_cross_entropy{}`. Multiplied by T, as
/// `cross_entropy`. Rows whose label is `ignore_index` do not count.
/// @throws value_error where log_zero is not negative and finite. O(samples x classes).
/// Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, 2019, arXiv:1908.06112, A = -4; their code
/// clips y at 1e-4, which is log_zero = -9.21.
struct reverse_cross_entropy {
  using limbeck_loss = labelwise;
  static constexpr bool needs_teacher = false;
  static constexpr bool needs_rest = true;  // 1 - q_y keeps its digits where the label is sure
  static constexpr int temperature_power = 1;

  double log_zero = -4;  ///< A of the paper, negative

  void check() const {
    if (!(log_zero < 0 && log_zero > -1e30))
      raise<value_error>("limbeck: reverse_cross_entropy.log_zero is " + detail::show(log_zero) +
                         ", expected a negative, finite number");
  }

  template <class X>
  LIMBECK_INLINE constexpr label_outcome<X> outcome(const label_point<X>& x) const {
    const X a(static_cast<typename X::scalar>(-log_zero));
    label_outcome<X> o;
    o.value = a * x.rest_q;
    o.rest = a * x.q * x.rest_q;
    o.label = -o.rest;
    return o;
  }
};

LIMBECK_END_NAMESPACE

#endif
