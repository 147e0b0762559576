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
template <class T, class Memory>
rows<T> take_padded(const batch<T, Memory>& x, std::size_t n) {
  constexpr std::size_t step = 64 / sizeof(T);  // whole packs on every instruction set
  const std::size_t padded = (n + step - 1) / step * step;
  return {x.memory.template take<T>(padded * padded).data(), n, n, static_cast<std::ptrdiff_t>(padded)};
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
struct padded_norms {
  rows<T> squared;
  T* norms;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    const std::size_t n = squared.samples, padded = static_cast<std::size_t>(squared.sample_stride);
    for_own<T>(team, padded, [&](std::size_t i) { norms[i] = i < n ? squared(i, i) : T(0); });
  }
};

/// A row of inner products becomes one of squared distances, distances and their inverses.
template <class T>
struct distances_of_row {
  distances<T> d;
  const T* norms;

  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const std::size_t n = d.squared.samples, padded = static_cast<std::size_t>(d.squared.sample_stride);
    T *const squared = d.squared.row(i), *const length = d.length.row(i), *const inverse = d.inverse.row(i);
    if constexpr (Team::alone) {
      const auto clear = [&](T* row, std::size_t from) { std::fill(row + from, row + padded, T(0)); };
      clear(squared, i < n ? n : 0);
      if (i < n) by_packs(i, squared, length, inverse);
      for (T* const row : {squared, length, inverse}) clear(row, i < n ? n : 0);
    } else {
      for_own<T>(team, padded, [&](std::size_t j) {
        T v(0);
        if (i < n && j < n) {
          const T norm = norms[i] + norms[j];
          v = norm - T(2) * squared[j];
          if (v < T(0.01) * norm) v = apart(i, j);  // too few digits are left: take the difference first
        }
        const T root = std::sqrt(v);
        squared[j] = v;
        length[j] = root;
        inverse[j] = v > T(0) ? T(1) / root : T(0);
      });
    }
  }

 private:
  LIMBECK_HOST_DEVICE T apart(std::size_t i, std::size_t j) const {
    T total(0);
    const T *const a = d.points.row(i), *const b = d.points.row(j);
    if (i == j) return total;
    for (std::size_t c = 0; c < d.points.classes; ++c) total += (a[c] - b[c]) * (a[c] - b[c]);
    return total;
  }
  void by_packs(std::size_t i, T* squared, T* length, T* inverse) const {
    const std::size_t n = d.squared.samples;
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      using L = host_lanes<T, Isa>;
      using X = pack<L>;
      constexpr auto lanes = static_cast<std::size_t>(X::lanes);
      const auto load = [](const T* p) LIMBECK_LAMBDA_INLINE { return X::from(L::load(p)); };
      for (std::size_t j = 0; j < n; j += lanes) {
        const X norm = X(norms[i]) + load(&norms[j]);
        X v = norm - X(T(2)) * load(squared + j);
        const auto close = v < X(T(0.01)) * norm;  // too few digits are left: take the difference first
        L::store(squared + j, v.v);
        if (L::sum(select(close, X(T(1)), X(T(0))).v) > T(0)) {
          for (std::size_t k = j; k < (std::min)(j + lanes, n); ++k)
            if (squared[k] < T(0.01) * (norms[i] + norms[k]))
              squared[k] = k == i ? T(0) : squared_distance(d.points.row(i), d.points.row(k), d.points.classes);
          v = load(squared + j);
        }
        const X root = sqrt(v);
        L::store(length + j, root.v);
        L::store(inverse + j, select(v > X(T(0)), X(T(1)) / root, X(T(0))).v);
      }
    });
  }
};

template <class T, class Memory>
distances<T> distances_of(const batch<T, Memory>& x, const rows<const T>& side) {
  const auto matrix = [&] { return take_padded(x, side.samples); };
  const distances<T> d{centred(x, side), matrix(), matrix(), matrix()};
  x.multiply(T(1), d.points, d.points.transposed(), T(0), d.squared);
  const std::size_t padded = static_cast<std::size_t>(d.squared.sample_stride);
  T* const norms = x.memory.template take<T>(padded).data();
  x.each_row(1, padded, padded_norms<T>{d.squared, norms});
  x.each_row(padded, padded, distances_of_row<T>{d, norms});
  return d;
}

template <class T>
LIMBECK_HOST_DEVICE T clamped_slope(T x) {
  return x > T(1) ? T(1) : x < T(-1) ? T(-1) : x;
}

/// The Laplacian of slope + slope^T, times a number where there is one.
template <class T>
struct laplacian_row {
  rows<T> slope, laplacian;
  const double* times;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const T factor = times ? static_cast<T>(*times) : T(1);
    const double total = sum_own<T, double>(team, slope.samples, [&](std::size_t j) {
      const T both = j == i ? T(0) : factor * (slope(i, j) + slope(j, i));
      laplacian(i, j) = -both;
      return static_cast<double>(both);
    });
    team.wait();
    if (team.rank() == 0) laplacian(i, i) = static_cast<T>(total);
  }
};

/// The same on the host, in blocks.
template <class T>
void fill_laplacian(const batch<T>& x, const rows<T>& slope, const rows<T>& laplacian) {
  const std::size_t n = slope.samples;
  constexpr std::size_t block = 16;  // columns are read by lines that stay in the first cache
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
}

/// gradient += scale times what @p slope, the derivative with respect to each squared distance, makes of the points:
/// the sum over j of 2 (slope_ij + slope_ji) (x_i - x_j). scale is multiplied by the number at @p times, if any.
template <class T, class Memory>
void pull_back_distances(const batch<T, Memory>& x, const distances<T>& student, const rows<T>& slope, double scale,
                         const double* times = nullptr) {
  const std::size_t n = x.samples();
  const rows<T> laplacian = take_matrix(x, n, n);
  if constexpr (batch<T, Memory>::on_host) {
    if (times) scale *= *times;
    fill_laplacian(x, slope, laplacian);
  } else {
    x.each_row(n, n, laplacian_row<T>{slope, laplacian, times});
  }
  x.multiply(static_cast<T>(2 * scale * static_cast<double>(x.scale)), laplacian, student.points, T(1), x.gradient);
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
