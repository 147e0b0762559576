#ifndef LIMBECK_LOSS_RELATIONS_PKT_HPP
#define LIMBECK_LOSS_RELATIONS_PKT_HPP

/// @file
/// Probabilistic knowledge transfer: who is near to whom, as a distribution.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/relations/gram.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// p log((p + epsilon)/(q + epsilon)) of the rows i of two matrices of cosines; the second becomes the slope by the first, and
/// the first that by the second.
template <class T>
struct compare_affinity_row {
  rows<T> s, t;
  double epsilon;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const std::size_t n = s.classes;
    T *const a = s.row(i), *const b = t.row(i);
    const double total = probabilities(team, a), teacher_total = probabilities(team, b);
    team_array<double, 3> sums{};  // the value; what the sums of the rows take back
    for_own<T>(team, n, [&](std::size_t j) {
      const double q = static_cast<double>(a[j]) / total, p = static_cast<double>(b[j]) / teacher_total;
      const double slope = p == 0 ? 0 : -p / (q + epsilon), ratio = p == 0 ? 0 : std::log((p + epsilon) / (q + epsilon));
      const double by_teacher = p == 0 ? 0 : ratio + p / (p + epsilon);
      sums.v[0] += p * ratio;
      sums.v[1] += slope * q;
      sums.v[2] += by_teacher * p;
      a[j] = static_cast<T>(by_teacher);
      b[j] = static_cast<T>(slope);
    });
    sums = team.sum(sums);
    for_own<T>(team, n, [&](std::size_t j) {
      a[j] = static_cast<T>((static_cast<double>(a[j]) - sums.v[2]) / (2 * teacher_total));
      b[j] = static_cast<T>((static_cast<double>(b[j]) - sums.v[1]) / (2 * total));
    });
    return sums.v[0];
  }
  template <class Team>
  LIMBECK_HOST_DEVICE double probabilities(const Team& team, T* row) const {
    return sum_own<T, double>(team, s.classes, [&](std::size_t j) { return static_cast<double>(row[j] = affinity(row[j])); });
  }
  /// (1 + cos)/2; rounding may carry a cosine below -1, never below by more than that. NaN stays.
  LIMBECK_HOST_DEVICE static T affinity(T cosine) { return cosine < T(-1) ? T(0) : (cosine + T(1)) / T(2); }
};

}  // namespace detail

/// PKT with the cosine kernel: the mean over all pairs of p log((p + epsilon)/(q + epsilon)), where p (teacher) and q
/// (student) are (1 + cos_ij)/2 divided by the sum of their row.
///
/// The mean over n^2 pairs, and the diagonal among them, as in the authors' code; the paper sums. Because of epsilon
/// the gradient where student and teacher agree is of the size of n epsilon, not 0; with epsilon = 0 it is 0, and the
/// loss +inf where two samples are opposite for the student alone. Student and teacher may differ in width. A sample
/// that is all 0 has cosine 0 with all, and no gradient. Costs as `similarity_preserving`.
/// @throws value_error where a feature is not finite, or epsilon is negative.
///
/// Passalis and Tefas, Learning Deep Representations with Probabilistic Knowledge Transfer, 2018, arXiv:1803.10837, and
/// their code (which also adds epsilon to each norm).
struct pkt {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  double epsilon = 1e-7;  ///< keeps the logarithm finite, at least 0

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (!(epsilon >= 0)) raise<value_error>("limbeck: pkt.epsilon is " + detail::show(epsilon) + ", expected 0 or more");
    const std::size_t n = x.samples();
    if (n == 0) return 0;
    const detail::relations<T> s = detail::relate(x, x.student, detail::points::unit);
    const detail::relations<T> t = detail::relate(x, x.teacher, detail::points::unit);
    const double factor = 1 / (static_cast<double>(n) * static_cast<double>(n));
    const double* const total = x.sum_rows(n, detail::compare_affinity_row<T>{s.gram, t.gram, epsilon});
    if (x.wants_gradient()) detail::pull_back_relations(x, s, t.gram, factor);
    if (x.wants_teacher_gradient()) detail::pull_back_relations(detail::exchanged(x), t, s.gram, factor);
    return detail::finite(x, factor, total);
  }
};

LIMBECK_END_NAMESPACE

#endif
