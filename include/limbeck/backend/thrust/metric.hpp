#ifndef LIMBECK_BACKEND_THRUST_METRIC_HPP
#define LIMBECK_BACKEND_THRUST_METRIC_HPP

/// @file
/// The library's metrics on a device: the numbers of selection/metric.hpp, bit for bit.
///
/// Sums are taken in the host's order. What is left to the compiler is whether a product is rounded before it is added: the
/// host is asked what it does (fused_squares), and the device does the same. nvcc's --use_fast_math takes the bits away.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/selection/centres.hpp>
#include <limbeck/selection/metric.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// a * b, rounded whatever is done with it next.
template <class T>
LIMBECK_INLINE T rounded_product(T a, T b) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 4) {
    return __fmul_rn(a, b);
  } else {
    return __dmul_rn(a, b);
  }
#else
  const volatile T product = a * b;
  return product;
#endif
}

/// sum + e * e; @p fused: in one rounding.
template <class T>
LIMBECK_INLINE T plus_square(T sum, T e, bool fused) {
  return fused ? std::fma(e, e, sum) : sum + rounded_product(e, e);
}

/// An odd number whose square lies half-way between two others: added to 1, it tells whether it was rounded before.
template <class T>
inline constexpr T half_way = static_cast<T>(sizeof(T) == 4 ? 4097 : 94906267);

/// Whether the host adds a square in one rounding: in the whole blocks of a row, and in the rest of it.
struct fused_squares {
  bool blocks, rest;
};
/// In squared_distances(), on the instruction set in use, in this file.
template <class T>
fused_squares fuses_distances() {
  const volatile T hidden = half_way<T>;  // the compiler, if it knew the number, would round as it likes
  const T x = hidden, origin[8] = {}, row[8] = {T(1), T(0), T(0), T(0), x, T(0), T(0), T(0)};
  const euclidean_distance metric;
  const auto fuses = [&](std::size_t width) {
    centres<T, euclidean_distance> centre(metric, width);
    centre.add(origin);
    return centre.nearest(row, 0) == static_cast<double>(std::fma(x, x, T(1)));
  };
  return {fuses(8), fuses(5)};
}
/// In sum_of_squares().
inline fused_squares fuses_sums() {
  const volatile double hidden = half_way<double>;
  const double x = hidden, row[16] = {1, 0, 0, 0, 0, 0, 0, 0, x};
  const auto fuses = [&](std::size_t width) {
    return sum_of_squares(std::span<const double>(row, width)) == std::fma(x, x, 1.0);
  };
  return {fuses(16), fuses(9)};
}

/// A row of a pool on the device.
template <class T>
struct device_row {
  const T* data;
  std::size_t size;
  std::ptrdiff_t stride;
  LIMBECK_HOST_DEVICE T operator[](std::size_t c) const { return data[static_cast<std::ptrdiff_t>(c) * stride]; }
};

/// Row @p r, on the host.
template <class T>
std::vector<T> fetch_row(const rows<const T>& pool, std::size_t r) {
  std::vector<T> row(pool.classes);
  for (std::size_t c = 0; c < pool.classes; ++c) fetch_from_device(&row[c], &pool(r, c), sizeof(T), {});
  return row;
}

/// What an embedding keeps of each row.
struct nothing_of_a_row {};

/// How a device embeds rows: `look(row, kept)`, whether the row is of the metric's space, and what is kept of it;
/// `embed(x, kept)`, one of its numbers. Empty where the device does not know the metric.
template <class Metric>
struct device_embedding {};
template <class Metric>
concept embedded_on_device = requires { typename device_embedding<Metric>::kept; };

template <>
struct device_embedding<euclidean_distance> {
  using kept = nothing_of_a_row;
  template <class T>
  LIMBECK_HOST_DEVICE bool look(const device_row<T>&, kept&) const {
    return true;
  }
  template <class T>
  LIMBECK_HOST_DEVICE T embed(T x, kept) const {
    return x;
  }
};

template <>
struct device_embedding<probability_distance> {
  using kept = nothing_of_a_row;
  template <class T>
  LIMBECK_HOST_DEVICE bool look(const device_row<T>& row, kept&) const {
    double total = 0;
    for (std::size_t c = 0; c < row.size; ++c) {
      if (row[c] < 0) return false;
      total += static_cast<double>(row[c]);
    }
    return (total < 1 ? 1 - total : total - 1) <= probability_distance::tolerance;
  }
  template <class T>
  LIMBECK_HOST_DEVICE T embed(T x, kept) const {
    return x;
  }
};

template <>
struct device_embedding<hellinger_distance> : device_embedding<probability_distance> {
  template <class T>
  LIMBECK_HOST_DEVICE T embed(T x, kept) const {
    return std::sqrt(x);
  }
};

template <>
struct device_embedding<cosine_distance> {
  /// A number becomes x / 2^exponent * inverse.
  struct kept {
    double inverse;
    int exponent;
  };
  template <class T>
  LIMBECK_HOST_DEVICE bool look(const device_row<T>& row, kept& k) const {
    T largest(0);
    for (std::size_t c = 0; c < row.size; ++c) {
      const T size = row[c] < 0 ? -row[c] : row[c];
      largest = size > largest ? size : largest;
    }
    if (largest == 0) return false;
    double square = squares(row, 0);
    k.exponent = 0;
    if (!(square > 1e-280 && square < 1e280)) {
      k.exponent = std::ilogb(largest);
      square = squares(row, k.exponent);
    }
    k.inverse = 1 / std::sqrt(square);
    return true;
  }
  template <class T>
  LIMBECK_HOST_DEVICE T embed(T x, kept k) const {
    return static_cast<T>(rounded_product(static_cast<double>(scaled(x, k.exponent)), k.inverse));
  }

  fused_squares fused = fuses_sums();

 private:
  template <class T>
  LIMBECK_HOST_DEVICE static T scaled(T x, int exponent) {
    return exponent == 0 ? x : std::ldexp(x, -exponent);
  }
  /// sum_of_squares() of the row over 2^exponent.
  template <class T>
  LIMBECK_HOST_DEVICE double squares(const device_row<T>& row, int exponent) const {
    double parts[8] = {};
    for (std::size_t first = 0; first < row.size; first += 8) {
      const bool fuses = first + 8 <= row.size ? fused.blocks : fused.rest;
      for (std::size_t l = 0; l < 8 && first + l < row.size; ++l)
        parts[l] = plus_square(parts[l], static_cast<double>(scaled(row[first + l], exponent)), fuses);
    }
    return ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]));
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
