#ifndef LIMBECK_LOSS_LOGITS_STUDENT_ENTROPY_HPP
#define LIMBECK_LOSS_LOGITS_STUDENT_ENTROPY_HPP

/// @file
/// The entropy of the student: what it learns from itself where there is no teacher.

#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Entropy of the student, -sum_i q_i log q_i, q = softmax(s/T), in [0, log classes]; with a negative weight, a reward for
/// doubt. It reads no teacher. A masked class counts 0. No power of T: nothing is compared. O(samples x classes).
///
/// Grandvalet and Bengio, Semi-supervised Learning by Entropy Minimization, 2004; Wang et al., Tent: Fully Test-Time
/// Adaptation by Entropy Minimization, 2021, arXiv:2006.10726.
struct student_entropy {
  using limbeck_loss = pointwise;
  static constexpr bool needs_teacher = false;
  static constexpr int temperature_power = 0;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    return -(x.q * x.log_q);
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    return -(x.q * x.log_q);  // less q: the same gradient, with its digits where one class has nearly all
  }
};

LIMBECK_END_NAMESPACE

#endif
