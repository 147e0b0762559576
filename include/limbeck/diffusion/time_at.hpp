#ifndef LIMBECK_DIFFUSION_TIME_AT_HPP
#define LIMBECK_DIFFUSION_TIME_AT_HPP

/// @file
/// Levels of one signal-to-noise ratio on several paths: what makes a denoiser of one path one of another.

#include <limbeck/diffusion/noise_table.hpp>
#include <limbeck/diffusion/path.hpp>

#include <cmath>
#include <cstddef>

LIMBECK_BEGIN_NAMESPACE

/// log(signal^2/noise^2).
LIMBECK_HOST_DEVICE inline double log_snr(const noise_level& at) { return 2 * (std::log(at.signal) - std::log(at.noise)); }

/// The time at which a path has the signal-to-noise ratio of a level: there x_t differs from x at that level by a factor alone.
///
/// Closed forms on the paths of `path.hpp`; on any other, whose ratio falls with time, bisection between its ends. Where the path
/// never has the ratio, the closed forms give a time that is none of its (or infinity), bisection the nearer end.
LIMBECK_HOST_DEVICE inline double time_at(const edm&, const noise_level& at) { return at.noise / at.signal; }
/// The same of a rectified path.
LIMBECK_HOST_DEVICE inline double time_at(const rectified&, const noise_level& at) { return at.noise / (at.signal + at.noise); }
/// The same of a trigonometric path.
LIMBECK_HOST_DEVICE inline double time_at(const trigonometric& path, const noise_level& at) {
  return std::atan2(at.noise, path.deviation * at.signal);
}
/// The same of a path that preserves variance.
LIMBECK_HOST_DEVICE inline double time_at(const variance_preserving& path, const noise_level& at) {
  const double ratio = at.noise / at.signal, fallen = 0.5 * std::log1p(ratio * ratio);  // minus the log of the signal
  if (fallen == 0) return 0;
  const double half = 0.5 * path.beta_min;
  return 2 * fallen / (half + std::sqrt(half * half + (path.beta_max - path.beta_min) * fallen));
}
/// The same of any path.
template <noise_path Path>
double time_at(const Path& path, const noise_level& at) {
  double low = path.first(), high = path.last();
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (low + high);
    if (!(low < middle && middle < high)) break;
    const noise_level there = path.level(middle);
    (there.noise * at.signal < at.noise * there.signal ? low : high) = middle;
  }
  return std::abs(low - path.first()) < std::abs(path.last() - high) ? low : high;
}

LIMBECK_END_NAMESPACE

#endif
