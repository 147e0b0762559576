#ifndef LIMBECK_LOSS_LOGITS_MSE_HPP
#define LIMBECK_LOSS_LOGITS_MSE_HPP

/// @file
/// Mean squared error on logits.

#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over classes of (s_i/T - t_i/T)^2, multiplied by T^2: the temperature cancels unless `unscaled`.
///
/// Unlike a divergence it sees shifts of a row. Classes masked on both sides count as equal; masked on one side, the
/// value is +inf. Ba and Caruana, Do Deep Nets Really Need to be Deep?, 2014, arXiv:1312.6184 (a sum there).
struct mse {
  using limbeck_loss = logitwise;
  static constexpr bool mean_over_classes = true;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    const X d = x.difference;
    return d * d;
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    const X d = x.difference;
    return d + d;
  }
  template <class X>
  LIMBECK_INLINE static constexpr X teacher_flow(const point<X>& x) {
    return -flow(x);
  }
};

LIMBECK_END_NAMESPACE

#endif
