#ifndef LIMBECK_LOSS_FEATURES_BARRON_HPP
#define LIMBECK_LOSS_FEATURES_BARRON_HPP

/// @file
/// The general robust loss: one family of errors from the square to those that no outlier moves.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

#include <cmath>
#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of rho(s_i - t_i), rho(d) = |a-2|/a ((u^2/|a-2| + 1)^(a/2) - 1) with u = d/scale and a = alpha.
///
/// alpha = 2 is u^2/2; 1 is sqrt(u^2 + 1) - 1 (Charbonnier, or pseudo-Huber); 0 is log(u^2/2 + 1) (Cauchy); -2 is
/// 2 u^2/(u^2 + 4) (Geman-McClure); -inf is 1 - exp(-u^2/2) (Welsch). All are u^2/2 near 0, and rise with alpha. Between
/// and beside these nothing cancels: the power is taken as expm1 of a logarithm.
///
/// A loss of rows, as `l1`. Multiplied by T^2, so that T cancels where errors are small beside the scale.
/// @throws value_error where alpha is above 2 or NaN, scale not positive and finite, or a number of either side not finite.
/// O(samples x columns). Barron, A General and Adaptive Robust Loss Function, 2019, arXiv:1701.03077, eq. 8 (an alpha and
/// a scale that are learned are not part of it).
struct barron {
  using limbeck_loss = logitwise;
  static constexpr bool mean_over_classes = true;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 2;
  static constexpr bool saturates = true;  // see `finish`

  double alpha = 1;  ///< shape, at most 2; -inf is Welsch's
  double scale = 1;  ///< where outliers begin, positive

  void check() const {
    if (!(alpha <= 2)) raise<value_error>("limbeck: barron.alpha is " + detail::show(alpha) + ", expected at most 2");
    if (!(scale > 1e-30 && scale < 1e30))
      raise<value_error>("limbeck: barron.scale is " + detail::show(scale) + ", expected a positive, finite number");
  }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    using T = typename X::scalar;
    const X u = x.difference * X(static_cast<T>(1 / scale)), half(T(0.5));
    if (alpha == 2) return half * u * u;
    if (alpha < least) {
      const X z = -smaller(half * u * u, X(T(1000)));
      return -z * expm1_ratio(z);
    }
    const X l = half * log_base(u), z = X(static_cast<T>(alpha)) * l;
    const X kept = X(static_cast<T>(2 - alpha)) * l * expm1_ratio(z);
    if (!(alpha > 0)) return kept;
    // far out e^z alone, which is large where alpha is near 2 and |a-2|/a small
    const X far = z + X(static_cast<T>(std::log((2 - alpha) / alpha)));
    return select(z < X(T(40)), kept, select(far < X(T(sizeof(T) == 4 ? 87 : 708)), exp(far), X((std::numeric_limits<T>::max)())));
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    using T = typename X::scalar;
    const X u = x.difference * X(static_cast<T>(1 / scale)), half(T(0.5));
    const X slope = u * X(static_cast<T>(1 / scale));
    if (alpha == 2) return slope;
    if (alpha < least) return slope * exp(-half * u * u);
    return slope * exp(X(static_cast<T>(alpha / 2 - 1)) * log_base(u));
  }
  template <class X>
  LIMBECK_INLINE constexpr X teacher_flow(const point<X>& x) const {
    return -flow(x);
  }

 private:
  static constexpr double least = -1e15;  // from here down, 1/alpha is no digit

  /// log(u^2/|a-2| + 1), also where the square is beyond the type.
  template <class X>
  LIMBECK_INLINE constexpr X log_base(const X& u) const {
    using T = typename X::scalar;
    const X y = u * u * X(static_cast<T>(1 / (2 - alpha)));
    const X one(T(1)), held = smaller(y, one), size = larger(abs(u), one);
    const X close = held - detail::log1p_excess(held);
    const X beyond = log(size) + log(size) - X(static_cast<T>(std::log(2 - alpha)));
    const X between = log(one + smaller(y, X(T(1e30))));
    return select(y < X(T(0.5)), close, select(y < X(T(1e25)), between, beyond));
  }
  /// (exp(z) - 1)/z.
  template <class X>
  LIMBECK_INLINE static constexpr X expm1_ratio(const X& z) {
    using T = typename X::scalar;
    const X one(T(1)), zero(T(0));
    const auto is_small = abs(z) < X(T(0.5));
    const X few = select(is_small, z, zero), large = select(is_small, one, z);
    return select(is_small, one + few * detail::exp_excess_ratio(-few), (exp(large) - one) / large);
  }
};

LIMBECK_END_NAMESPACE

#endif
