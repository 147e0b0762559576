#ifndef LIMBECK_DIFFUSION_TIME_GRID_HPP
#define LIMBECK_DIFFUSION_TIME_GRID_HPP

/// @file
/// Grids of times that a sampler goes down, and maps of [0, 1] that place more of them where they are needed.

#include <limbeck/core/errors.hpp>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// k t/(1 + (k - 1) t), for t in [0, 1] and k > 0: k > 1 moves times towards noise, 1/k moves them back. On the rectified path it
/// multiplies the ratio of noise to signal by k.
///
/// Esser et al., Scaling Rectified Flow Transformers for High-Resolution Image Synthesis, 2024, arXiv:2403.03206, with k the
/// root of the ratio of resolutions.
constexpr double shift_time(double t, double k) { return k * t / (1 + (k - 1) * t); }

/// Sway sampling: 1 - u - s (cos(pi u/2) - 1 + u) with u = 1 - t, for t in [0, 1], s in [-1, 2/(pi - 2)]: s < 0 places more times near
/// noise. The paper's time is u, which is 0 at noise.
///
/// Chen et al., F5-TTS: A Fairytaler that Fakes Fluent and Faithful Speech with Flow Matching, 2024, arXiv:2410.06885.
inline double sway_time(double t, double s = -1) {
  const double u = 1 - t;
  return t - s * (std::cos(std::numbers::pi * u / 2) - t);
}

/// @p steps equal steps from @p from to @p to: steps + 1 times, both ends exact.
/// @throws value_error where there is no step, or the ends are one or not finite.
inline std::vector<double> uniform_grid(std::size_t steps, double from = 1, double to = 0) {
  if (steps == 0) raise<value_error>("limbeck: steps of uniform_grid is 0, expected at least 1");
  if (from - from != 0 || to - to != 0 || from == to)
    raise<value_error>("limbeck: uniform_grid goes from " + detail::show(from) + " to " + detail::show(to) + ", expected two finite times");
  std::vector<double> t(steps + 1);
  for (std::size_t i = 0; i <= steps; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(steps);
    t[i] = from * (1 - share) + to * share;
  }
  return t;
}

/// What `edm_grid` takes.
struct edm_grid_options {
  double highest = 80;    ///< the first time, sigma_max
  double lowest = 0.002;  ///< the last but 0, sigma_min, positive and below it
  double rho = 7;         ///< positive; the larger, the more times at little noise
};
/// Karras et al.'s grid of `edm`: (highest^(1/rho) + i/(steps - 1) (lowest^(1/rho) - highest^(1/rho)))^rho for i < steps, then 0. One
/// step goes from `highest` to 0.
/// @throws value_error where there is no step or an option is not as said.
///
/// Karras, Aittala, Aila and Laine, 2022, arXiv:2206.00364, eq. 5.
inline std::vector<double> edm_grid(std::size_t steps, const edm_grid_options& options = {}) {
  if (steps == 0) raise<value_error>("limbeck: steps of edm_grid is 0, expected at least 1");
  if (!(options.lowest > 0 && options.lowest < options.highest && options.highest < 1e300))
    raise<value_error>("limbeck: edm_grid goes from " + detail::show(options.highest) + " to " + detail::show(options.lowest) +
                       ", expected finite positive times that fall");
  if (!(options.rho > 0 && options.rho < 1e300))
    raise<value_error>("limbeck: rho of edm_grid is " + detail::show(options.rho) + ", expected a finite positive number");
  const double high = std::pow(options.highest, 1 / options.rho), low = std::pow(options.lowest, 1 / options.rho);
  std::vector<double> t(steps + 1, 0.0);
  for (std::size_t i = 0; i < steps; ++i) {
    const double share = steps > 1 ? static_cast<double>(i) / static_cast<double>(steps - 1) : 0;
    t[i] = i == 0 ? options.highest : std::pow(high + share * (low - high), options.rho);
  }
  return t;
}

LIMBECK_END_NAMESPACE

#endif
