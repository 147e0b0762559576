#ifndef LIMBECK_DIFFUSION_RESIDUAL_SHIFTING_HPP
#define LIMBECK_DIFFUSION_RESIDUAL_SHIFTING_HPP

/// @file
/// ResShift's path: from a clean sample to a degraded one and noise.

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

/// x_t = x + eta (y - x) + kappa sqrt(eta) e, of a clean x and a degraded y, for t in [0, 1]: signal = 1 - eta, noise = kappa sqrt(eta),
/// and eta y beside them (`shifted_noised`). sqrt(eta) = start (end/start)^(t^power).
///
/// Step k of K of the authors' code, counted from 0, is t = k/(K - 1). x_t - eta y is a sample noised on this path: all conversions
/// hold of it. The slope by t is infinite at t = 0 where the power is below 1.
///
/// Yue, Wang and Loy, ResShift: Efficient Diffusion Model for Image Super-resolution by Residual Shifting, 2023, arXiv:2307.12348; the
/// defaults of its code, of 15 steps.
struct residual_shifting {
  double kappa = 2;     ///< how much noise, positive
  double start = 0.02;  ///< sqrt(eta) at t = 0: the least noise over kappa
  double end = 0.99;    ///< sqrt(eta) at t = 1
  double power = 0.3;   ///< how early it grows, positive

  /// The share of the degraded sample.
  LIMBECK_HOST_DEVICE double eta(double t) const { return start * start * std::exp(2 * std::log(end / start) * std::pow(t, power)); }
  /// At time t.
  LIMBECK_HOST_DEVICE noise_level level(double t) const {
    const double h = eta(t);
    return {1 - h, kappa * std::sqrt(h)};
  }
  /// By t.
  LIMBECK_HOST_DEVICE noise_level slope(double t) const {
    const double h = eta(t), rate = std::log(end / start) * power * std::pow(t, power - 1);  // of log sqrt(eta)
    return {-2 * rate * h, rate * kappa * std::sqrt(h)};
  }
  static constexpr double first() { return 0; }  ///< nearly the clean sample
  static constexpr double last() { return 1; }   ///< nearly the degraded one, and noise
};

namespace detail {

template <class Levels>
struct shifting {
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 3> operator()(std::size_t row, double) const {
    const noise_level l = at(row);
    return {{l.signal, 1 - l.signal, l.noise}};
  }
};

}  // namespace detail

/// x_t = a x + (1 - a) y + s e: samples that are moved towards degraded ones and noised, as on `residual_shifting`.
///
/// @param x clean samples, samples x dimensions
/// @param y degraded ones
/// @param e the noise
/// @param at `levels(residual_shifting{}, t)`
/// A target, as `noised`, with its errors.
template <class X, class Y, class E, row_levels L>
auto shifted_noised(X&& x, Y&& y, E&& e, const L& at) {
  return detail::checked_levels(at, detail::combined("a tensor of shifted_noised", detail::shifting<L>{at}, std::forward<X>(x), std::forward<Y>(y),
                                                     std::forward<E>(e)));
}

LIMBECK_END_NAMESPACE

#endif
