#ifndef LIMBECK_LOSS_RELATIONS_GRAM_HPP
#define LIMBECK_LOSS_RELATIONS_GRAM_HPP

/// @file
/// What the losses between samples share: the samples x samples matrix of inner products and the way back through it.

#include <limbeck/engine/dense.hpp>
#include <limbeck/loss/support.hpp>

#include <cmath>
#include <cstddef>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// What is done to a row before it is compared.
enum class points { plain, centred, unit };

/// One side of a batch: its points, and their inner products.
template <class T>
struct relations {
  rows<const T> points;      ///< contiguous rows
  const T* norms = nullptr;  ///< of the rows as they were, where points are unit vectors
  rows<T> gram;              ///< points points^T
};

/// @p side less the mean of its rows. Taken from the first row, so that rows that are all the same become 0.
template <class T>
rows<const T> centred(const batch<T>& x, const rows<const T>& side) {
  const rows<const T> in = contiguous(x, side);
  const std::size_t n = in.samples, m = in.classes;
  const rows<T> out = take_matrix(x, n, m);
  double* const mean = x.memory.template take<double>(m).data();
  T* const shift = x.memory.template take<T>(m).data();
  for (std::size_t c = 0; c < m; ++c) mean[c] = 0;
  for (std::size_t r = 0; r < n; ++r) {
    const T *const first = in.row(0), *const from = in.row(r);
    T* const to = out.row(r);
    for (std::size_t c = 0; c < m; ++c) {
      const T v = from[c] - first[c];
      to[c] = v;
      mean[c] += static_cast<double>(v);
    }
  }
  for (std::size_t c = 0; c < m; ++c) shift[c] = static_cast<T>(mean[c] / static_cast<double>(n));
  for (std::size_t r = 0; r < n; ++r) {
    T* const to = out.row(r);
    for (std::size_t c = 0; c < m; ++c) to[c] -= shift[c];
  }
  return out;
}

template <class T>
struct shift_of_column {
  rows<const T> in;
  T* shift;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t c) const {
    const T first = in(0, c);
    const double total = sum_own<T, double>(team, in.samples, [&](std::size_t r) { return static_cast<double>(in(r, c) - first); });
    if (team.rank() == 0) shift[c] = static_cast<T>(total / static_cast<double>(in.samples));
  }
};
template <class T>
struct centred_row {
  rows<const T> in;
  const T* shift;
  rows<T> out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    for_own<T>(team, in.classes, [&](std::size_t c) { out(r, c) = in(r, c) - in(0, c) - shift[c]; });
  }
};
/// The same by columns, of which a device works on many at once.
template <class T, class Memory>
rows<const T> centred(const batch<T, Memory>& x, const rows<const T>& side) {
  const rows<T> out = take_matrix(x, side.samples, side.classes);
  T* const shift = x.memory.template take<T>(side.classes).data();
  x.each_row(side.classes, side.samples, shift_of_column<T>{side, shift});
  x.each_row(side.samples, side.classes, centred_row<T>{side, shift, out});
  return out;
}

template <class T, class Memory>
relations<T> relate(const batch<T, Memory>& x, const rows<const T>& side, points how) {
  relations<T> r;
  if (how == points::unit) {
    const rows<T> unit = take_matrix(x, side.samples, side.classes);
    T* const norms = x.memory.template take<T>(side.samples).data();
    x.each_row(side.samples, side.classes, unit_row<T>{side, unit, norms});
    r.norms = norms;
    r.points = unit;
  } else {
    r.points = how == points::plain ? contiguous(x, side) : centred(x, side);
  }
  r.gram = take_matrix(x, side.samples, side.samples);
  x.multiply(T(1), r.points, r.points.transposed(), T(0), r.gram);
  return r;
}

/// slope + slope^T, times a number where there is one.
template <class T>
struct add_transposed {
  rows<T> slope, both;
  const double* times;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    if (!times) {
      for_own<T>(team, slope.classes, [&](std::size_t j) { both(i, j) = slope(i, j) + slope(j, i); });
    } else {
      const T factor = static_cast<T>(*times);
      for_own<T>(team, slope.classes, [&](std::size_t j) { both(i, j) = factor * (slope(i, j) + slope(j, i)); });
    }
  }
};
template <class T>
struct pull_back_unit_row {
  rows<const T> unit;
  const T* norms;
  rows<T> slope, gradient;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    T* const row = slope.row(i);
    pull_back_unit(team, unit.row(i), norms[i], row, slope.classes);
    add_to_row(team, gradient, i, [&](std::size_t c) { return row[c]; });
  }
};
/// gradient += scale (slope + slope^T) points, slope the derivative with respect to `student.gram`, through the
/// normalisation where there is one; scale is multiplied by the number at @p times, if any. A slope by a centred Gram matrix
/// needs no more than that if its columns sum to 0.
template <class T, class Memory>
void pull_back_relations(const batch<T, Memory>& x, const relations<T>& student, const rows<T>& slope, double scale,
                         const double* times = nullptr) {
  const std::size_t n = x.samples(), m = x.student.classes;
  if constexpr (batch<T, Memory>::on_host) {
    if (times) scale *= *times;
    times = nullptr;
  }
  const rows<T> both = take_matrix(x, n, n);
  x.each_row(n, n, add_transposed<T>{slope, both, times});
  const T factor = static_cast<T>(scale * static_cast<double>(x.scale));
  if (!student.norms) return x.multiply(factor, both, student.points, T(1), x.gradient);
  const rows<T> by_unit = take_matrix(x, n, m);
  x.multiply(factor, both, student.points, T(0), by_unit);
  x.each_row(n, m, pull_back_unit_row<T>{student.points, student.norms, by_unit, x.gradient});
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
