#ifndef LIMBECK_LOSS_RELATIONS_CROSS_CORRELATION_HPP
#define LIMBECK_LOSS_RELATIONS_CROSS_CORRELATION_HPP

/// @file
/// Barlow Twins: each feature is to be correlated with itself across the sides, and with no other.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// A column, which stands as a row, less its mean, over its deviation; and 1/deviation.
template <class T>
struct standard_column {
  rows<T> x;  ///< width x samples
  T* inverse;
  double epsilon;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t c) const {
    const std::size_t n = x.classes;
    T* const z = x.row(c);
    const double count = static_cast<double>(n), first = static_cast<double>(z[0]);
    const double mean =
        first + sum_own<T, double>(team, n, [&](std::size_t r) { return static_cast<double>(z[r]) - first; }) / count;
    const double variance = sum_own<T, double>(team, n, [&](std::size_t r) {
      const double d = static_cast<double>(z[r]) - mean;
      return d * d;
    }) / count;
    const double by = variance + epsilon > 0 ? 1 / std::sqrt(variance + epsilon) : 0 * variance;  // NaN stays
    team.wait();  // all have read the first, which its owner overwrites
    for_own<T>(team, n, [&](std::size_t r) { z[r] = static_cast<T>((static_cast<double>(z[r]) - mean) * by); });
    if (team.rank() == 0) inverse[c] = static_cast<T>(by);
  }
};
/// (C_cc - 1)^2 + weight times the squares of the rest of a row; C becomes the slopes.
template <class T>
struct decorrelate_row {
  rows<T> c;
  double weight;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    return sum_own<T, double>(team, c.classes, [&](std::size_t j) {
      const double apart = static_cast<double>(c(i, j)) - (i == j ? 1 : 0), w = i == j ? 1 : weight;
      c(i, j) = static_cast<T>(2 * w * apart);
      return w * apart * apart;
    });
  }
};
/// The slope by a standardised column becomes that by the column.
template <class T>
struct pull_back_standard_column {
  rows<const T> z;
  const T* inverse;
  rows<T> slope;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t c) const {
    const std::size_t n = z.classes;
    const T* const own = z.row(c);
    T* const g = slope.row(c);
    team_array<double, 2> sums{};
    for_own<T>(team, n, [&](std::size_t r) {
      sums.v[0] += static_cast<double>(g[r]);
      sums.v[1] += static_cast<double>(g[r]) * static_cast<double>(own[r]);
    });
    sums = team.sum(sums);
    const T mean = static_cast<T>(sums.v[0] / static_cast<double>(n)), along = static_cast<T>(sums.v[1] / static_cast<double>(n));
    for_own<T>(team, n, [&](std::size_t r) { g[r] = inverse[c] * (g[r] - mean - along * own[r]); });
  }
};

}  // namespace detail

/// Barlow Twins: the sum over features of (1 - C_cc)^2 + off_diagonal times the sum of all other C_cd^2, C = A^T B / n, where A
/// and B are the features of student and teacher, each column less its mean, over the root of its variance + epsilon.
///
/// The variance is that of the batch, divided by n, as in batch normalisation. Both sides learn (`into_teacher`). Neither a
/// shift nor, with epsilon 0, a scale of a column changes it. A column without variance counts as 0; one sample has only such.
/// Student and teacher have one width, or the student is projected. Three products of width^2 x samples, one matrix of width^2.
/// @throws shape_error where the widths differ; value_error where a feature is not finite, or epsilon or off_diagonal
/// negative or not finite.
///
/// Zbontar et al., Barlow Twins: Self-Supervised Learning via Redundancy Reduction, 2021, arXiv:2103.03230 (lambda 5e-3), and the
/// authors' code (lambda 0.0051; the epsilon of its batch normalisation).
struct cross_correlation {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  double off_diagonal = 5e-3;  ///< weight of what is not on the diagonal, at least 0
  double epsilon = 1e-5;       ///< added to the variances, at least 0

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "cross_correlation");
    if (!(epsilon >= 0) || epsilon - epsilon != 0)
      raise<value_error>("limbeck: cross_correlation.epsilon is " + detail::show(epsilon) + ", expected a number of at least 0");
    if (!(off_diagonal >= 0) || off_diagonal - off_diagonal != 0)
      raise<value_error>("limbeck: cross_correlation.off_diagonal is " + detail::show(off_diagonal) +
                         ", expected a number of at least 0");
    const std::size_t n = x.samples(), width = x.student.classes;
    if (n == 0 || width == 0) return 0;
    const rows<T> a = detail::take_matrix(x, width, n), b = detail::take_matrix(x, width, n);  // features as rows
    const rows<T> correlations = detail::take_matrix(x, width, width);
    T *const inverse = x.memory.template take<T>(width).data(), *const other = x.memory.template take<T>(width).data();
    detail::turn(x, x.student, a);
    detail::turn(x, x.teacher, b);
    x.each_row(width, n, detail::standard_column<T>{a, inverse, epsilon});
    x.each_row(width, n, detail::standard_column<T>{b, other, epsilon});
    const double count = static_cast<double>(n);
    x.multiply(static_cast<T>(1 / count), a, rows<const T>(b).transposed(), T(0), correlations);
    const std::span<double> values = x.memory.template take<double>(width);
    using row = detail::decorrelate_row<T>;
    x.each_row(width, width, detail::value_of_row<row>{row{correlations, off_diagonal}, values.data()});
    const batch_number<Memory> result = detail::finite(x, 1, x.add_up(values));

    const T scale = static_cast<T>(static_cast<double>(x.scale) / count);
    const auto back = [&](const rows<const T>& slopes, const rows<T>& own, const T* by, const rows<T>& across, const rows<T>& gradient) {
      const rows<T> slope = detail::take_matrix(x, width, n);
      x.multiply(scale, slopes, across, T(0), slope);
      x.each_row(width, n, detail::pull_back_standard_column<T>{own, by, slope});
      detail::add_turned<T>(x, slope, gradient);
    };
    if (x.wants_gradient()) back(correlations, a, inverse, b, x.gradient);
    if (x.wants_teacher_gradient()) back(rows<const T>(correlations).transposed(), b, other, a, x.teacher_gradient);
    return result;
  }
};

LIMBECK_END_NAMESPACE

#endif
