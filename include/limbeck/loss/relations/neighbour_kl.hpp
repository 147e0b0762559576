#ifndef LIMBECK_LOSS_RELATIONS_NEIGHBOUR_KL_HPP
#define LIMBECK_LOSS_RELATIONS_NEIGHBOUR_KL_HPP

/// @file
/// How near the teacher's nearest neighbours are, as a distribution.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/relations/cosines.hpp>

#include <cmath>
#include <limits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// KL over the k others whose cosine is highest in the teacher's row; the teacher's cosines become the slopes by the student's,
/// and the student's those by the teacher's.
template <class T>
struct compare_neighbours_row {
  rows<T> s, t;
  std::size_t k;
  double inverse;  ///< of the temperature

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    T *const a = s.row(i), *const b = t.row(i);
    const std::size_t n = s.classes;
    constexpr double none = -std::numeric_limits<double>::infinity();
    // the last of the k nearest: highest cosine first, of equal ones the lowest index
    double least = std::numeric_limits<double>::infinity(), last = -1, nearest = none;
    const auto taken = [&](std::size_t j) {
      const double cosine = static_cast<double>(b[j]);
      return j != i && (cosine > least || (cosine == least && static_cast<double>(j) <= last));
    };
    for (std::size_t round = 0; round < k; ++round) {
      double best = none;
      for_own<T>(team, n, [&](std::size_t j) {
        if (j != i && !taken(j) && static_cast<double>(b[j]) > best) best = static_cast<double>(b[j]);
      });
      best = highest_over(team, best);
      double first = none;  // less its index
      for_own<T>(team, n, [&](std::size_t j) {
        if (j != i && !taken(j) && static_cast<double>(b[j]) == best && -static_cast<double>(j) > first)
          first = -static_cast<double>(j);
      });
      least = best, last = -highest_over(team, first);
      if (round == 0) nearest = best;
    }
    double top = none;
    for_own<T>(team, n, [&](std::size_t j) {
      if (taken(j) && static_cast<double>(a[j]) > top) top = static_cast<double>(a[j]);
    });
    top = highest_over(team, top);
    const auto power = [&](T cosine, double shift) { return std::exp((static_cast<double>(cosine) - shift) * inverse); };
    team_array<double, 3> sums{};
    for_own<T>(team, n, [&](std::size_t j) {
      sums.v[2] += 0 * (static_cast<double>(a[j]) + static_cast<double>(b[j]));  // NaN stays
      if (taken(j)) sums.v[0] += power(a[j], top), sums.v[1] += power(b[j], nearest);
    });
    sums = team.sum(sums);
    const double shift = (nearest - top) * inverse + std::log(sums.v[1] / sums.v[0]);
    const auto log_ratio = [&](std::size_t j) {  // log p - log q
      return (static_cast<double>(b[j]) - static_cast<double>(a[j])) * inverse - shift;
    };
    const double value = sum_own<T, double>(
        team, n, [&](std::size_t j) { return taken(j) ? power(b[j], nearest) / sums.v[1] * log_ratio(j) : 0.0; });
    for_own<T>(team, n, [&](std::size_t j) {
      double by_student = 0, by_teacher = 0;
      if (taken(j)) {
        const double q = power(a[j], top) / sums.v[0], p = power(b[j], nearest) / sums.v[1];
        by_student = inverse * (q - p), by_teacher = inverse * p * (log_ratio(j) - value);
      }
      a[j] = static_cast<T>(by_teacher), b[j] = static_cast<T>(by_student);
    });
    return value + sums.v[2];
  }
};

}  // namespace detail

/// The mean over rows i of KL(p_i, q_i) over the k others that are nearest to i by the teacher's cosines: p_i = softmax of
/// cos(t_i, t_j)/T over these j, q_i the same of the student.
///
/// The neighbours are held fixed; of equally near ones those of the lowest index are taken, and all others where there are no
/// more than k. Student and teacher may differ in width. A row that is all 0 has cosine 0 with all, and no gradient. 0 for one
/// row. Three products of samples^2 x width, and k passes over each row of cosines.
/// @throws value_error where a feature is not finite, k is 0, or T is not positive.
///
/// A loss of this library: graphs of nearest tokens as in TRG (Zhang, Liu and He, Knowledge Distillation via Token-level
/// Relationship Graph, 2023, arXiv:2306.12442), of which only a summary was read; its kernel and its normalisation are others.
struct neighbour_kl {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  std::size_t k = 8;         ///< neighbours, at least 1
  double temperature = 0.1;  ///< T, of the cosines

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_temperature(temperature, "neighbour_kl");
    if (k == 0) raise<value_error>("limbeck: neighbour_kl.k is 0, expected at least 1");
    const std::size_t n = x.samples();
    if (n < 2) return 0;
    const detail::relations<T> s = detail::relate(x, x.student, detail::points::unit);
    const detail::relations<T> t = detail::relate(x, x.teacher, detail::points::unit);
    const std::size_t neighbours = k < n - 1 ? k : n - 1;
    const double* const total = x.sum_rows(n, detail::compare_neighbours_row<T>{s.gram, t.gram, neighbours, 1 / temperature});
    const double factor = 1 / static_cast<double>(n);
    if (x.wants_gradient()) detail::pull_back_relations(x, s, t.gram, factor);
    if (x.wants_teacher_gradient()) detail::pull_back_relations(detail::exchanged(x), t, s.gram, factor);
    return detail::finite_mean(x, total, n);
  }
};

LIMBECK_END_NAMESPACE

#endif
