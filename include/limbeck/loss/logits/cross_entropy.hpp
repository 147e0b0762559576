#ifndef LIMBECK_LOSS_LOGITS_CROSS_ENTROPY_HPP
#define LIMBECK_LOSS_LOGITS_CROSS_ENTROPY_HPP

/// @file
/// Cross-entropy with labels, soft labels, or the teacher's probabilities.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Cross-entropy with the labels, -sum_i y_i log q_i, q = softmax(s/T).
///
/// y is 1 at the label, or the row of probabilities that the call gives as `soft_labels(P)`; smoothing replaces it by
/// (1 - smoothing) y + smoothing / C, C classes (Szegedy et al., Rethinking the Inception Architecture, 2016,
/// arXiv:1512.00567). At a temperature other than 1 it is multiplied by T, the power that keeps the size of the
/// gradient (q - y)/T. Rows whose label is `ignore_index` do not count. A label on a masked class gives +inf.
struct cross_entropy {
  using limbeck_loss = labelwise;
  static constexpr bool needs_teacher = false;
  static constexpr bool takes_soft_labels = true;
  static constexpr int temperature_power = 1;

  double smoothing = 0;  ///< in [0, 1)

  void check() const {
    if (!(smoothing >= 0 && smoothing < 1))
      raise<value_error>("limbeck: cross_entropy.smoothing is " + detail::show(smoothing) + ", expected [0, 1)");
  }
  constexpr bool wants_mean() const { return smoothing != 0; }

  template <class X>
  LIMBECK_INLINE constexpr label_outcome<X> outcome(const label_point<X>& x) const {
    const X even(static_cast<typename X::scalar>(smoothing));
    const X sure(static_cast<typename X::scalar>(1 - smoothing));
    label_outcome<X> o;
    o.value = -(sure * x.log_q);
    if (smoothing != 0) o.value = o.value - even * x.mean_log_q;
    o.softmax = X(1);
    o.rest = X(0);
    o.label = -sure;
    o.uniform = -(even / x.classes);
    return o;
  }
  template <class X>
  LIMBECK_INLINE constexpr X soft_target(const X& y, const X& classes) const {
    return X(static_cast<typename X::scalar>(1 - smoothing)) * y +
           X(static_cast<typename X::scalar>(smoothing)) / classes;
  }
};

/// Cross-entropy with the teacher's probabilities, -sum_i p_i log q_i: the forward KL and the teacher's entropy, with
/// the forward KL's gradient, (q - p)/T. It is not 0 where student and teacher agree; `forward_kl` is. Hinton,
/// Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, arXiv:1503.02531. Multiplied by T^2.
struct soft_cross_entropy {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    return -(x.p * x.log_q);
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    return x.difference;  // -p + q: the same gradient, with its digits where student and teacher are close
  }
  template <class X>
  LIMBECK_INLINE static constexpr X teacher_flow(const point<X>& x) {
    return -(x.p * x.log_q);
  }
};

LIMBECK_END_NAMESPACE

#endif
