#ifndef LIMBECK_CORE_QUANTILE_HPP
#define LIMBECK_CORE_QUANTILE_HPP

/// @file
/// Order statistics and the quantile between two of them, as `numpy.quantile` and `torch.quantile` take it by default.

#include <limbeck/core/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Doubles as whole numbers in the same order; -0 stands before 0.
LIMBECK_HOST_DEVICE inline std::uint64_t ordered_bits(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof x);
  return (bits >> 63) != 0 ? ~bits : bits | std::uint64_t{1} << 63;
}
/// The double that ordered_bits() made @p key of.
LIMBECK_HOST_DEVICE inline double number_of_ordered(std::uint64_t key) {
  const std::uint64_t bits = (key >> 63) != 0 ? key ^ std::uint64_t{1} << 63 : ~key;
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/// The numbers of rank @p rank and @p rank + 1 of @p x (the last one twice), the smallest having rank 0. @p x holds no
/// NaN, and its order is lost. O(n).
template <class T>
std::pair<T, T> order_statistics(std::span<T> x, std::size_t rank) {
  const auto at = x.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(x.begin(), at, x.end());
  return {*at, at + 1 == x.end() ? *at : *std::min_element(at + 1, x.end())};
}

/// a + t (b - a) for a <= b and t in [0, 1), taken from the nearer end; beside an infinite one, that one.
template <class T>
LIMBECK_HOST_DEVICE T between(T a, T b, T t) {
  if (t == 0 || a == b) return a;
  constexpr T largest = (std::numeric_limits<T>::max)();
  if (!(b - a <= largest)) return b > largest ? b : a;
  return t < T(0.5) ? a + t * (b - a) : b - (1 - t) * (b - a);
}

/// The quantile @p q, in [0, 1], of @p size numbers: pair(rank) gives those of two neighbouring ranks.
template <class T, class Pair>
LIMBECK_HOST_DEVICE T quantile_of(std::size_t size, double q, const Pair& pair) {
  const double place = q * static_cast<double>(size - 1);
  std::size_t below = static_cast<std::size_t>(place);
  if (below > size - 1) below = size - 1;
  const std::pair<T, T> at = pair(below);
  return between(at.first, at.second, static_cast<T>(place - static_cast<double>(below)));
}
/// That of @p x, which is not empty, holds no NaN, and whose order is lost. O(n).
template <class T>
T quantile_in_place(std::span<T> x, double q) {
  return quantile_of<T>(x.size(), q, [&](std::size_t rank) { return order_statistics(x, rank); });
}
/// The same of numbers that are sorted.
template <class T>
LIMBECK_HOST_DEVICE T quantile_of_sorted(const T* x, std::size_t size, double q) {
  return quantile_of<T>(size, q, [&](std::size_t rank) { return std::pair<T, T>(x[rank], x[rank + 1 < size ? rank + 1 : rank]); });
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
