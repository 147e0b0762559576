#ifndef LIMBECK_MAP_MOMENTS_HPP
#define LIMBECK_MAP_MOMENTS_HPP

/// @file
/// Mean and spread of a row, for the maps that take them away.

#include <limbeck/map/map.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// The mean of a row, and the sum of the squares around it.
struct row_moments {
  double mean, squares;
};
template <class Team, class T>
LIMBECK_HOST_DEVICE row_moments moments_of(const Team& team, std::span<const T> x) {
  const auto number = [&](std::size_t c) { return static_cast<double>(x[c]); };
  const double mean = sum_own<T, double>(team, x.size(), number) / static_cast<double>(x.size());
  return {mean, sum_own<T, double>(team, x.size(), [&](std::size_t c) { return (number(c) - mean) * (number(c) - mean); })};
}
template <class Team, class T>
LIMBECK_HOST_DEVICE void standardise(const Team& team, std::span<const T> x, std::span<T> y, double mean, double deviation) {
  for_own<T>(team, x.size(), [&](std::size_t c) { y[c] = static_cast<T>((static_cast<double>(x[c]) - mean) / deviation); });
}
/// The way back: (g - mean(g) - y along sum(g y))/deviation is added; @p along is 1/n for a deviation over n.
template <class Team, class T>
LIMBECK_HOST_DEVICE void pull_back_standardised(const Team& team, std::span<const T> y, std::span<const T> slope,
                                                std::span<T> x_gradient, double deviation, double along) {
  team_array<double, 2> sums{{0, 0}};
  for_own<T>(team, y.size(), [&](std::size_t c) {
    sums.v[0] += static_cast<double>(slope[c]);
    sums.v[1] += static_cast<double>(slope[c]) * static_cast<double>(y[c]);
  });
  sums = team.sum(sums);
  const double mean = sums.v[0] / static_cast<double>(y.size()), by = along * sums.v[1];
  for_own<T>(team, y.size(), [&](std::size_t c) {
    x_gradient[c] += static_cast<T>((static_cast<double>(slope[c]) - mean - by * static_cast<double>(y[c])) / deviation);
  });
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
