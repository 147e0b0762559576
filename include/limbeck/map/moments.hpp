#ifndef LIMBECK_MAP_MOMENTS_HPP
#define LIMBECK_MAP_MOMENTS_HPP

/// @file
/// Mean and spread of a row, for the maps that take them away.

#include <limbeck/map/map.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// The sum of f(c) over @p n numbers of type T, in double: by a thread alone in eight sums side by side, which a processor
/// adds at once.
template <class T, class Team, class F>
LIMBECK_HOST_DEVICE double sum_in_double(const Team& team, std::size_t n, const F& f) {
  if constexpr (!Team::alone) {
    return sum_own<T, double>(team, n, f);
  } else {
    double sums[8] = {};
    std::size_t c = 0;
    for (; c + 8 <= n; c += 8)
      for (std::size_t k = 0; k < 8; ++k) sums[k] += f(c + k);
    for (; c < n; ++c) sums[c % 8] += f(c);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
}

/// The mean of a row, and the sum of the squares around it.
struct row_moments {
  double mean, squares;
};
template <class Team, class T>
LIMBECK_HOST_DEVICE row_moments moments_of(const Team& team, std::span<const T> x) {
  const auto number = [&](std::size_t c) { return static_cast<double>(x[c]); };
  const double mean = sum_in_double<T>(team, x.size(), number) / static_cast<double>(x.size());
  return {mean, sum_in_double<T>(team, x.size(), [&](std::size_t c) { return (number(c) - mean) * (number(c) - mean); })};
}
template <class Team, class T>
LIMBECK_HOST_DEVICE void standardise(const Team& team, std::span<const T> x, std::span<T> y, double mean, double deviation) {
  const double by = 1 / deviation;
  for_own<T>(team, x.size(), [&](std::size_t c) { y[c] = static_cast<T>((static_cast<double>(x[c]) - mean) * by); });
}
/// The way back: (g - mean(g) - y along sum(g y))/deviation is added; @p along is 1/n for a deviation over n.
template <class Team, class T>
LIMBECK_HOST_DEVICE void pull_back_standardised(const Team& team, std::span<const T> y, std::span<const T> slope,
                                                std::span<T> x_gradient, double deviation, double along) {
  const auto g = [&](std::size_t c) { return static_cast<double>(slope[c]); };
  const auto v = [&](std::size_t c) { return static_cast<double>(y[c]); };
  const double mean = sum_in_double<T>(team, y.size(), g) / static_cast<double>(y.size());
  const double off = along * sum_in_double<T>(team, y.size(), [&](std::size_t c) { return g(c) * v(c); }), by = 1 / deviation;
  for_own<T>(team, y.size(), [&](std::size_t c) { x_gradient[c] += static_cast<T>((g(c) - mean - off * v(c)) * by); });
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
