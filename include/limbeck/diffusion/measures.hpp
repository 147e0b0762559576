#ifndef LIMBECK_DIFFUSION_MEASURES_HPP
#define LIMBECK_DIFFUSION_MEASURES_HPP

/// @file
/// How far generated samples are from others: the energy distance, and how many modes they reach.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// The rows of a tensor of samples on the host.
/// @throws shape_error where there is none, value_error where a number is not finite.
template <class X>
auto samples_of(const char* name, const X& x) {
  static_assert(std::is_same_v<typename tensor_traits<X>::sweep, host_rows>,
                "limbeck: measures of samples read tensors on the host; copy them there");
  const auto all = tensor_traits<X>::view(x);
  if (all.samples == 0 || all.classes == 0)
    raise<shape_error>(std::string("limbeck: ") + name + " has no element, expected samples x dimensions");
  for (std::size_t r = 0; r < all.samples; ++r)
    for (std::size_t c = 0; c < all.classes; ++c)
      if (const auto v = static_cast<double>(all(r, c)); !(v - v == 0))
        raise<value_error>(std::string("limbeck: ") + name + " is " + show(v) + " in row " + std::to_string(r) + ", column " +
                           std::to_string(c) + ", expected a finite number");
  return all;
}

/// Calls f(i, j, |x_i - y_j|) for all pairs: 64 rows of y at a time, turned, so that neighbours in memory are summed side by side.
template <class X, class Y, class F>
void each_distance(const X& x, const Y& y, const F& f) {
  constexpr std::size_t block = 64;
  std::vector<double> turned(block * y.classes);
  for (std::size_t first = 0; first < y.samples; first += block) {
    const std::size_t count = (std::min)(block, y.samples - first);
    for (std::size_t j = 0; j < count; ++j)
      for (std::size_t c = 0; c < y.classes; ++c) turned[c * block + j] = static_cast<double>(y(first + j, c));
    for (std::size_t i = 0; i < x.samples; ++i) {
      std::array<double, block> square{};
      for (std::size_t c = 0; c < y.classes; ++c) {
        const auto here = static_cast<double>(x(i, c));
        const double* const there = turned.data() + c * block;
        for (std::size_t j = 0; j < block; ++j) square[j] += (here - there[j]) * (here - there[j]);
      }
      for (std::size_t j = 0; j < count; ++j) f(i, first + j, std::sqrt(square[j]));
    }
  }
}
template <class X, class Y>
double average_distance(const X& x, const Y& y) {
  double all = 0;
  each_distance(x, y, [&](std::size_t, std::size_t, double d) { all += d; });
  return all / static_cast<double>(x.samples) / static_cast<double>(y.samples);
}

}  // namespace detail

/// Between two sets of samples: 2/(nm) sum |x_i - y_j| - 1/n^2 sum |x_i - x_j| - 1/m^2 sum |y_i - y_j|, Euclidean.
///
/// At least 0; 0 where the sets are the same. Of two sets of one distribution it is about E|x - x'| (1/n + 1/m): measure that too,
/// to know what is small. Other texts call its square root, or half of it, by the same name.
/// @param x n samples x dimensions, a tensor of float or double on the host; in double from there
/// @param y m samples of the same dimensions
/// @throws shape_error where dimensions differ or there is no sample, value_error where a number is not finite.
/// O((n + m)^2 dimensions) time, 64 samples of memory.
///
/// Szekely and Rizzo, Testing for Equal Distributions in High Dimension, InterStat, 2004; Energy statistics: a class of statistics
/// based on distances, Journal of Statistical Planning and Inference, 2013.
template <class X, class Y>
double energy_distance(const X& x, const Y& y) {
  const auto a = detail::samples_of("x", x);
  const auto b = detail::samples_of("y", y);
  if (a.classes != b.classes) detail::throw_shape("y", b.samples, b.classes, b.samples, a.classes);
  const double d = 2 * detail::average_distance(a, b) - detail::average_distance(a, a) - detail::average_distance(b, b);
  return (std::max)(d, 0.0);  // less only by rounding
}

/// What `modes_found` returns.
struct found_modes {
  std::size_t modes = 0;  ///< that have a sample near
  double near = 0;        ///< the share of the samples that are near a mode, 0 to 1
};

/// How many of the modes have at least @p least samples for which no other mode is nearer and that are within @p radius.
///
/// @param x samples x dimensions, a tensor on the host
/// @param modes their centres, modes x dimensions; of equally near ones the first counts
/// @param radius Euclidean, at least 0
/// @param least samples that make a mode found, at least 1
/// @throws as `energy_distance`, and value_error where radius or least is out of range. O(samples x modes x dimensions).
template <class X, class Modes>
found_modes modes_found(const X& x, const Modes& modes, double radius, std::size_t least = 1) {
  const auto a = detail::samples_of("x", x);
  const auto m = detail::samples_of("modes", modes);
  if (a.classes != m.classes) detail::throw_shape("modes", m.samples, m.classes, m.samples, a.classes);
  if (!(radius >= 0)) raise<value_error>("limbeck: radius is " + detail::show(radius) + ", expected a number of at least 0");
  if (least == 0) raise<value_error>("limbeck: least is 0, expected at least 1 sample a mode");
  std::vector<double> nearest(a.samples);
  std::vector<std::size_t> which(a.samples), near(m.samples);
  detail::each_distance(a, m, [&](std::size_t i, std::size_t j, double d) {
    if (j == 0 || d < nearest[i]) nearest[i] = d, which[i] = j;
  });
  std::size_t all = 0;
  for (std::size_t i = 0; i < a.samples; ++i)
    if (nearest[i] <= radius) ++near[which[i]], ++all;
  found_modes found{0, static_cast<double>(all) / static_cast<double>(a.samples)};
  for (const std::size_t n : near) found.modes += n >= least ? 1 : 0;
  return found;
}

LIMBECK_END_NAMESPACE

#endif
