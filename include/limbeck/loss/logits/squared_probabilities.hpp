#ifndef LIMBECK_LOSS_LOGITS_SQUARED_PROBABILITIES_HPP
#define LIMBECK_LOSS_LOGITS_SQUARED_PROBABILITIES_HPP

/// @file
/// Mean squared error of probabilities: the consistency of two views.

#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over classes of (p_i - q_i)^2, p = softmax(t/T), q = softmax(s/T). At most 2/classes; its sum, Brier's score of a
/// one-hot p, is it times the number of classes.
///
/// Unlike a KL it is bounded, and forgets classes of which neither side thinks. Multiplied by T^2. O(samples x classes).
/// Laine and Aila, Temporal Ensembling, 2017, arXiv:1610.02242; Tarvainen and Valpola, Mean Teachers are Better Role
/// Models, 2017, arXiv:1703.01780, whose code divides by the classes too.
struct squared_probabilities {
  using limbeck_loss = pointwise;
  static constexpr bool mean_over_classes = true;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    return x.difference * x.difference;
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    return (x.q + x.q) * x.difference;
  }
  template <class X>
  LIMBECK_INLINE static constexpr X teacher_flow(const point<X>& x) {
    return -((x.p + x.p) * x.difference);
  }
};

LIMBECK_END_NAMESPACE

#endif
