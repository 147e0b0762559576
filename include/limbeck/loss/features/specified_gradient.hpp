#ifndef LIMBECK_LOSS_FEATURES_SPECIFIED_GRADIENT_HPP
#define LIMBECK_LOSS_FEATURES_SPECIFIED_GRADIENT_HPP

/// @file
/// The loss whose gradient is the teacher's row.

#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of g_i^2/2, with the gradient g_i (over the number of columns) by the student: what codes write as
/// 1/2 mse(x, stop_gradient(x - g)), without the difference in which the digits of g are lost.
///
/// The teacher's row is g: a direction in which samples are pushed down, as `distribution_matching(real, fake)`, and held
/// fixed. The value says how long g is, and nothing of how good the samples are. A loss of rows, as `l1`; the temperature cancels.
/// @throws value_error where a number of either side is not finite. O(samples x columns).
///
/// As the surrogate loss of Yin et al., One-step Diffusion with Distribution Matching Distillation, 2023, arXiv:2311.18828, and
/// `SpecifyGradient` of score distillation's codes.
struct specified_gradient {
  using limbeck_loss = logitwise;
  static constexpr bool mean_over_classes = true;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    using T = typename X::scalar;
    return X(T(0.5)) * x.teacher * x.teacher;
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    return x.teacher;
  }
};

LIMBECK_END_NAMESPACE

#endif
