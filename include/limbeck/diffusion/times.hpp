#ifndef LIMBECK_DIFFUSION_TIMES_HPP
#define LIMBECK_DIFFUSION_TIMES_HPP

/// @file
/// The times of a batch: distributions, each by its quantile, so that a draw may be stratified; and `draw_times`.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/diffusion/time_grid.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <numbers>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A distribution of times: its quantile of u in (0, 1), which does not fall with u.
template <class S>
concept time_distribution = requires(const S& s, double u) {
  { s.quantile(u) } -> std::convertible_to<double>;
};

namespace detail {

/// In (0, 1), of a number in [0, 1).
constexpr double inside_unit(double u) { return 0x1p-54 + u * (1 - 0x1p-53); }

/// The quantile of the normal distribution, u in (0, 1), to the digits of double: a rough root, then Halley's steps on erfc.
inline double normal_quantile(double u) {
  const double tail = u < 0.5 ? u : 1 - u, t = std::sqrt(-2 * std::log(tail));
  double x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
  for (int i = 0; i < 3; ++i) {
    const double error = 0.5 * std::erfc(-x / std::numbers::sqrt2) - tail;
    const double newton = error * std::sqrt(2 * std::numbers::pi) * std::exp(0.5 * x * x);
    x -= newton / (1 + 0.5 * x * newton);
  }
  return u < 0.5 ? x : -x;
}

}  // namespace detail

/// Uniform between two times: a whole path, or a sub-interval of it, as the phases of phased distillation.
struct uniform_times {
  double low = 0;   ///< the least
  double high = 1;  ///< the most, not below it
  /// low + u (high - low).
  double quantile(double u) const { return low + u * (high - low); }
};
/// 1/(1 + exp(-n)), n normal: in (0, 1), for rectified flow.
///
/// Esser et al., Scaling Rectified Flow Transformers for High-Resolution Image Synthesis, 2024, arXiv:2403.03206.
struct logit_normal_times {
  double mean = 0;       ///< of n
  double deviation = 1;  ///< of n, positive
  /// 1/(1 + exp(-(mean + deviation z))), z the normal's quantile.
  double quantile(double u) const { return 1 / (1 + std::exp(-(mean + deviation * detail::normal_quantile(u)))); }
};
/// exp(n), n normal: the noise of `edm`.
///
/// Karras, Aittala, Aila and Laine, 2022, arXiv:2206.00364, table 1.
struct log_normal_times {
  double mean = -1.2;      ///< of n, P_mean
  double deviation = 1.2;  ///< of n, P_std, positive
  /// exp(mean + deviation z).
  double quantile(double u) const { return std::exp(mean + deviation * detail::normal_quantile(u)); }
};
/// arctan(exp(n)/d), n normal: for the trigonometric path.
///
/// Lu and Song, 2024, arXiv:2410.11081, whose noise before the division is log-normal.
struct arctangent_times {
  double mean = -1;             ///< of n
  double deviation = 1.4;       ///< of n, positive
  double data_deviation = 0.5;  ///< d, that of the path, positive
  /// arctan(exp(mean + deviation z)/d).
  double quantile(double u) const { return std::atan(std::exp(mean + deviation * detail::normal_quantile(u)) / data_deviation); }
};
/// Integer steps, each as likely: first, first + every, ... up to last. For tables.
struct discrete_times {
  int first = 0;   ///< the least
  int last = 999;  ///< the most, not below it
  int every = 1;   ///< distance between two, positive
  /// first + every floor(u count).
  double quantile(double u) const {
    const int count = (last - first) / every + 1, k = static_cast<int>(u * count);
    return first + every * static_cast<double>(k < count ? k : count - 1);
  }
};
/// One of some times, each as likely: the steps of a few-step student.
struct listed_times {
  std::vector<double> times{1.0};  ///< rising, at least one
  /// times[floor(u count)].
  double quantile(double u) const {
    const auto k = static_cast<std::size_t>(u * static_cast<double>(times.size()));
    return times[k < times.size() ? k : times.size() - 1];
  }
};
/// Another distribution, shifted: `shift_time` of what it gives.
template <time_distribution Of>
struct shifted_times {
  double shift = 3;  ///< positive; above 1 there is more noise
  Of of{};           ///< in [0, 1]
  /// shift_time(of.quantile(u), shift).
  double quantile(double u) const { return shift_time(of.quantile(u), shift); }
};
/// Another distribution, given that the time is between two: a phase of it.
template <time_distribution Of>
class times_within {
 public:
  /// @param of a distribution without steps; @param low,high the least and the most time
  /// @throws value_error where it has nothing between them
  times_within(const Of& of, double low, double high) : of_(of), low_(share(of, low)), high_(share(of, high)) {
    if (!(low < high && low_ < high_))
      raise<value_error>("limbeck: times_within is from " + detail::show(low) + " to " + detail::show(high) +
                         ", expected an interval in which the distribution has times");
  }
  /// That of the other at low' + u (high' - low'), its shares of what is below both.
  double quantile(double u) const { return of_.quantile(low_ + u * (high_ - low_)); }

 private:
  /// What is below t, by bisection.
  static double share(const Of& of, double t) {
    double low = 0, high = 1;
    while (true) {
      const double middle = 0.5 * (low + high);
      if (!(low < middle && middle < high) || high - low < 1e-17) return middle;
      (of.quantile(middle) < t ? low : high) = middle;
    }
  }
  Of of_;
  double low_, high_;
};

/// What `draw_times` takes beside distribution and stream.
struct draw_times_options {
  bool stratified = false;  ///< row r of n has u uniform in (r/n, (r + 1)/n), in the place of (0, 1)
  std::size_t first = 0;    ///< the place of the first number in the whole batch
  std::size_t of = 0;       ///< how many the whole batch has, where it is stratified; 0: as many as are drawn here
};

/// Draws a number a row: times for `levels(path, t)`, or what else a row has one of, as scales of guidance.
///
/// @param distribution any `time_distribution`
/// @param stream is not moved on: row r has u of `stream.split(first + r)`, whatever parts the batch is drawn in
/// @param out a vector of float or double on the host
/// @param options stratified draws: their mean varies less. The order of rows is then that of times, so the rows are to be shuffled
/// O(rows). @throws value_error where rows of a stratified draw lie outside the whole batch.
///
/// Stratified as in Kingma, Salimans, Poole and Ho, Variational Diffusion Models, 2021, arXiv:2107.00630, whose rows share one u.
template <time_distribution S, class Out>
void draw_times(const S& distribution, const random_stream& stream, Out&& out, const draw_times_options& options = {}) {
  using Element = detail::vector_element_t<Out>;
  static_assert(std::is_floating_point_v<Element>, "limbeck: draw_times writes a vector of float or double");
  const auto to = detail::vector_memory(out);
  const std::size_t whole = options.of > 0 ? options.of : options.first + to.size;
  if (options.stratified && options.first + to.size > whole)
    raise<value_error>("limbeck: draw_times draws rows " + std::to_string(options.first) + " to before " +
                       std::to_string(options.first + to.size) + " of a batch of " + std::to_string(whole));
  for (std::size_t r = 0; r < to.size; ++r) {
    random_stream mine = stream.split(options.first + r);
    const double inside = detail::inside_unit(mine.uniform());
    const double u = options.stratified ? (static_cast<double>(options.first + r) + inside) / static_cast<double>(whole) : inside;
    detail::put(to, r, distribution.quantile(u < 1 ? u : 1 - 0x1p-53));
  }
}

LIMBECK_END_NAMESPACE

#endif
