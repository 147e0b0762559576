#ifndef LIMBECK_DIFFUSION_PATH_HPP
#define LIMBECK_DIFFUSION_PATH_HPP

/// @file
/// Paths from data to noise: x_t = signal(t) x + noise(t) e, with e of the normal distribution. What the field calls a noise
/// schedule or an interpolant.
///
/// A path is a small copyable struct with `level(t)`, `slope(t)` (its derivative by t), `first` and `last`: the times that it is
/// made for. It runs on host and device.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/lifetime.hpp>
#include <limbeck/core/rows.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <numbers>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// How much of data and of noise there is at a time.
struct noise_level {
  double signal = 1;  ///< what the sample is multiplied by, alpha
  double noise = 0;   ///< the standard deviation of the noise, sigma
};

/// A path from data to noise.
template <class P>
concept noise_path = std::is_trivially_copyable_v<P> && requires(const P& p, double t) {
  { p.level(t) } -> std::same_as<noise_level>;
  { p.slope(t) } -> std::same_as<noise_level>;
  { p.first() } -> std::convertible_to<double>;
  { p.last() } -> std::convertible_to<double>;
};

/// Variance preserving: signal = exp(-1/4 t^2 (beta_max - beta_min) - 1/2 t beta_min), noise = sqrt(1 - signal^2), t in [0, 1].
///
/// Song et al., Score-Based Generative Modeling through Stochastic Differential Equations, 2021, arXiv:2011.13456, eq. 33; the
/// limit of DDPM's (Ho, Jain and Abbeel, 2020, arXiv:2006.11239).
struct variance_preserving {
  double beta_min = 0.1;  ///< rate at t = 0, at least 0
  double beta_max = 20;   ///< rate at t = 1
  /// log of the signal.
  LIMBECK_HOST_DEVICE double log_signal(double t) const { return -0.25 * t * t * (beta_max - beta_min) - 0.5 * t * beta_min; }
  /// At time t.
  LIMBECK_HOST_DEVICE noise_level level(double t) const {
    const double l = log_signal(t);
    return {std::exp(l), std::sqrt(-std::expm1(2 * l))};
  }
  /// By t; the noise's is infinite at t = 0.
  LIMBECK_HOST_DEVICE noise_level slope(double t) const {
    const noise_level at = level(t);
    const double rate = beta_min + t * (beta_max - beta_min);
    return {-0.5 * rate * at.signal, 0.5 * rate * at.signal * at.signal / at.noise};
  }
  static constexpr double first() { return 0; }  ///< no noise
  static constexpr double last() { return 1; }   ///< nearly nothing else
};

/// Karras et al.'s: signal = 1, noise = t, for t from 0 up.
///
/// Karras, Aittala, Aila and Laine, Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv:2206.00364.
struct edm {
  double highest = 80;  ///< the last time, sigma_max
  /// At time t, which is the noise.
  LIMBECK_HOST_DEVICE noise_level level(double t) const { return {1, t}; }
  /// By t.
  LIMBECK_HOST_DEVICE noise_level slope(double) const { return {0, 1}; }
  static constexpr double first() { return 0; }  ///< no noise
  LIMBECK_HOST_DEVICE constexpr double last() const { return highest; }  ///< the highest noise
};

/// Rectified flow: signal = 1 - t, noise = t, t in [0, 1]; velocity e - x.
///
/// Liu, Gong and Liu, Flow Straight and Fast, 2022, arXiv:2209.03003 (whose time runs the other way); Lipman et al., Flow
/// Matching for Generative Modeling, 2022, arXiv:2210.02747.
struct rectified {
  /// At time t.
  LIMBECK_HOST_DEVICE noise_level level(double t) const { return {1 - t, t}; }
  /// By t.
  LIMBECK_HOST_DEVICE noise_level slope(double) const { return {-1, 1}; }
  static constexpr double first() { return 0; }  ///< data
  static constexpr double last() { return 1; }   ///< noise alone
};

/// Trigonometric (TrigFlow): signal = cos t, noise = deviation sin t, t in [0, pi/2].
///
/// Lu and Song, Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models, 2024, arXiv:2410.11081, where z =
/// deviation e is of the deviation of the data.
struct trigonometric {
  double deviation = 1;  ///< of the data, sigma_d, positive
  /// At time t.
  LIMBECK_HOST_DEVICE noise_level level(double t) const {
    return t < last() ? noise_level{std::cos(t), deviation * std::sin(t)} : noise_level{0, deviation};  // where the cosine is only nearly 0
  }
  /// By t.
  LIMBECK_HOST_DEVICE noise_level slope(double t) const { return {-std::sin(t), deviation * std::cos(t)}; }
  static constexpr double first() { return 0; }                       ///< data
  static constexpr double last() { return std::numbers::pi / 2; }  ///< noise alone
};

/// The times of rows on a path; made by `levels`.
template <noise_path Path, class Memory = host_rows>
struct path_levels {
  using limbeck_levels = void;  ///< marks levels of rows
  using memory = Memory;  ///< of the times
  Path path;              ///< which
  any_vector times{};     ///< one a row; empty where all rows have one
  double time = 0;        ///< that one
  /// The time of a row, which is one of the path's: rounding beyond its ends is taken off.
  LIMBECK_HOST_DEVICE double time_of(std::size_t row) const {
    const double t = times.data() ? times.number(row) : time, low = path.first(), high = path.last();
    return t < low ? low : t > high ? high : t;
  }
  /// The level of a row.
  LIMBECK_HOST_DEVICE noise_level operator()(std::size_t row) const { return path.level(time_of(row)); }
  /// Its derivative by time.
  LIMBECK_HOST_DEVICE noise_level slope(std::size_t row) const { return path.slope(time_of(row)); }
};

/// What `levels` returns.
template <class L>
concept row_levels = requires { typename std::remove_cvref_t<L>::limbeck_levels; };

namespace detail {

template <noise_path Path>
bool has_time(const Path& path, double t) {
  const double low = path.first(), high = path.last(), slack = 1e-6 * (high - low);
  return t >= low - slack && t <= high + slack;
}
template <noise_path Path>
void check_time(const Path& path, double t, const std::string& where) {
  if (!has_time(path, t))
    raise<value_error>("limbeck: " + where + " is " + show(t) + ", expected a number from " + show(path.first()) + " to " + show(path.last()));
}
/// @throws shape_error where there is not one time a row.
template <row_levels L>
void check_levels(const L& at, std::size_t samples) {
  if (!at.times.empty() && at.times.size() != samples) throw_length("times", at.times.size(), samples);
}

}  // namespace detail

/// Rows at times on a path: `noised(x, e, levels(rectified{}, t))`.
///
/// @param path any `noise_path`
/// @param t a number, for all rows, or a vector of float or double, one a row, kept by view: named, in the memory of the tensors
/// @throws value_error naming the row where a time on the host is not one of the path's (up to 1e-6 of its length)
template <noise_path Path, class Times>
auto levels(const Path& path, Times&& t) {
  using Bare = std::remove_cvref_t<Times>;
  if constexpr (std::is_arithmetic_v<Bare>) {
    detail::check_time(path, static_cast<double>(t), "time");
    return path_levels<Path>{path, {}, static_cast<double>(t)};
  } else {
    static_assert(std::is_floating_point_v<detail::vector_element_t<Bare>>,
                  "limbeck: times are a number, or a vector of float or double, one a row");
    detail::require_kept<Times>();
    const any_vector times = detail::view_vector(t);
    if constexpr (std::is_same_v<detail::vector_memory_t<Bare>, host_rows>)
      for (std::size_t r = 0; r < times.size(); ++r)
        if (!detail::has_time(path, times.number(r))) detail::check_time(path, times.number(r), "time " + std::to_string(r));
    return path_levels<Path, detail::vector_memory_t<Bare>>{path, times, 0};
  }
}

LIMBECK_END_NAMESPACE

#endif
