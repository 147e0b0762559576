#ifndef LIMBECK_LOSS_FEATURES_SMOOTH_L1_HPP
#define LIMBECK_LOSS_FEATURES_SMOOTH_L1_HPP

/// @file
/// Absolute errors of features, and those that are rounded off near 0.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of |s_i - t_i|; their sum is that times the number of columns.
///
/// A loss of rows: weights, masks and signals reach it, and its value is that of each row. The subgradient at s_i = t_i
/// is 0. Multiplied by T, which cancels. As it compares features, -inf is no masked class here.
/// @throws value_error where a number of either side is not finite. O(samples x columns).
struct l1 {
  using limbeck_loss = logitwise;
  static constexpr bool mean_over_classes = true;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 1;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    return abs(x.difference);
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    const X zero(0), one(1);
    return select(x.difference > zero, one, select(x.difference < zero, -one, zero));
  }
  template <class X>
  LIMBECK_INLINE static constexpr X teacher_flow(const point<X>& x) {
    return -flow(x);
  }
};

/// Mean over columns of phi(s_i - t_i), phi(d) = d^2/(2 beta) where |d| < beta, else |d| - beta/2: as PyTorch's
/// `smooth_l1_loss`. Huber's loss is beta times it, and beta = 0 is `l1` at T = 1.
///
/// A loss of rows, as `l1`. Multiplied by T^2, so that T cancels where errors are small.
/// @throws value_error where beta is negative or not finite, or a number of either side is not finite.
/// O(samples x columns). Girshick, Fast R-CNN, 2015, arXiv:1504.08083 (beta = 1).
struct smooth_l1 {
  using limbeck_loss = logitwise;
  static constexpr bool mean_over_classes = true;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 2;

  double beta = 1;  ///< where the parabola ends, at least 0

  void check() const {
    if (!(beta >= 0 && beta < 1e30))
      raise<value_error>("limbeck: smooth_l1.beta is " + detail::show(beta) + ", expected a finite number from 0 up");
  }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    using T = typename X::scalar;
    const X size = abs(x.difference), end(static_cast<T>(beta)), half(T(0.5));
    return select(size < end, half * size * (size / end), size - half * end);
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    const X end(static_cast<typename X::scalar>(beta));
    return select(abs(x.difference) < end, x.difference / end, l1::flow(x));
  }
  template <class X>
  LIMBECK_INLINE constexpr X teacher_flow(const point<X>& x) const {
    return -flow(x);
  }
};

LIMBECK_END_NAMESPACE

#endif
