#ifndef LIMBECK_LOSS_RELATIONS_DISTANCES_HPP
#define LIMBECK_LOSS_RELATIONS_DISTANCES_HPP

/// @file
/// The distances of all pairs of samples, from one product, and the way back by another.

#include <limbeck/loss/relations/gram.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// One side of a batch: its centred points and the distances of all pairs. Rows and columns are padded with zeros, to
/// whole packs and to a multiple of 4.
template <class T>
struct distances {
  rows<const T> points;
  rows<T> squared, length, inverse;  ///< n x n: d^2, d, and 1/d or 0
};

/// n x n numbers in memory for as many as `distances` has with its padding.
template <class T>
rows<T> take_padded(scratch& memory, std::size_t n) {
  constexpr std::size_t step = 64 / sizeof(T);  // whole packs on every instruction set
  const std::size_t padded = (n + step - 1) / step * step;
  return {memory.template take<T>(padded * padded).data(), n, n, static_cast<std::ptrdiff_t>(padded)};
}

template <class T>
T squared_distance(const T* a, const T* b, std::size_t n) {
  T total;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    X sums(T(0));
    std::size_t c = 0;
    for (; c + lanes <= n; c += lanes) {
      const X apart = X::from(L::load(a + c)) - X::from(L::load(b + c));
      sums += apart * apart;
    }
    total = L::sum(sums.v);
    for (; c < n; ++c) total += (a[c] - b[c]) * (a[c] - b[c]);
  });
  return total;
}

template <class T>
distances<T> distances_of(const batch<T>& x, const rows<const T>& side) {
  const auto matrix = [&] { return take_padded<T>(x.memory, side.samples); };
  const distances<T> d{centred(x, side), matrix(), matrix(), matrix()};
  x.dense.multiply(T(1), d.points, d.points.transposed(), T(0), d.squared, x.memory, x.on);
  const std::size_t n = side.samples, padded = static_cast<std::size_t>(d.squared.sample_stride);
  const std::span<T> norms = x.memory.template take<T>(padded);
  for (std::size_t i = 0; i < padded; ++i) norms[i] = i < n ? d.squared(i, i) : T(0);
  x.on(padded, [&](std::size_t i, std::size_t) {
    T *const squared = d.squared.row(i), *const length = d.length.row(i), *const inverse = d.inverse.row(i);
    const auto clear = [&](T* row, std::size_t from) { std::fill(row + from, row + padded, T(0)); };
    clear(squared, i < n ? n : 0);
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      using L = host_lanes<T, Isa>;
      using X = pack<L>;
      constexpr auto lanes = static_cast<std::size_t>(X::lanes);
      const auto load = [](const T* p) LIMBECK_LAMBDA_INLINE { return X::from(L::load(p)); };
      for (std::size_t j = 0; i < n && j < n; j += lanes) {
        const X norm = X(norms[i]) + load(&norms[j]);
        X v = norm - X(T(2)) * load(squared + j);
        const auto close = v < X(T(0.01)) * norm;  // too few digits are left: take the difference first
        L::store(squared + j, v.v);
        if (L::sum(select(close, X(T(1)), X(T(0))).v) > T(0)) {
          for (std::size_t k = j; k < (std::min)(j + lanes, n); ++k)
            if (squared[k] < T(0.01) * (norms[i] + norms[k]))
              squared[k] = k == i ? T(0) : squared_distance(d.points.row(i), d.points.row(k), side.classes);
          v = load(squared + j);
        }
        const X root = sqrt(v);
        L::store(length + j, root.v);
        L::store(inverse + j, select(v > X(T(0)), X(T(1)) / root, X(T(0))).v);
      }
    });
    for (T* const row : {squared, length, inverse}) clear(row, i < n ? n : 0);
  });
  return d;
}

/// gradient += scale times what @p slope, the derivative with respect to each squared distance, makes of the points:
/// the sum over j of 2 (slope_ij + slope_ji) (x_i - x_j).
template <class T>
void pull_back_distances(const batch<T>& x, const distances<T>& student, const rows<T>& slope, double scale) {
  const std::size_t n = x.samples();
  constexpr std::size_t block = 16;  // columns are read by lines that stay in the first cache
  const rows<T> laplacian = take_matrix(x, n, n);
  x.on((n + block - 1) / block, [&](std::size_t b, std::size_t) {
    const std::size_t first = b * block, last = (std::min)(n, first + block);
    double total[block] = {};
    for (std::size_t left = 0; left < n; left += block)
      for (std::size_t i = first; i < last; ++i) {
        T* const out = laplacian.row(i);
        for (std::size_t j = left; j < (std::min)(n, left + block); ++j) {
          out[j] = j == i ? T(0) : -(slope.row(i)[j] + slope.row(j)[i]);
          total[i - first] -= static_cast<double>(out[j]);
        }
      }
    for (std::size_t i = first; i < last; ++i) laplacian(i, i) = static_cast<T>(total[i - first]);
  });
  x.dense.multiply(static_cast<T>(2 * scale * static_cast<double>(x.scale)), laplacian, student.points, T(1),
                   x.gradient, x.memory, x.on);
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
