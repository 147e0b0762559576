#ifndef LIMBECK_LOSS_RELATIONS_SIMILARITY_PRESERVING_HPP
#define LIMBECK_LOSS_RELATIONS_SIMILARITY_PRESERVING_HPP

/// @file
/// Losses that compare rows of similarity matrices, each row divided by its 2-norm.

#include <limbeck/loss/relations/gram.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// |a_i/|a_i| - b_i/|b_i||^2 of the rows i of two Gram matrices; the second becomes half the slope by the first.
template <class T>
struct compare_similarity_row {
  rows<T> s, t;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const std::size_t n = s.classes;
    T *const a = s.row(i), *const b = t.row(i);
    const T norm = normalise(team, a);
    normalise(team, b);
    for_own<T>(team, n, [&](std::size_t j) { b[j] = a[j] - b[j]; });  // half the slope by a/|a|
    const double value = static_cast<double>(inner_product(team, b, b, n));
    pull_back_unit(team, a, norm, b, n);
    return value;
  }
  template <class Team>
  LIMBECK_HOST_DEVICE T normalise(const Team& team, T* row) const {
    const T norm = norm_of(team, row, s.classes);
    if (norm != T(0)) for_own<T>(team, s.classes, [&](std::size_t j) { row[j] /= norm; });
    return norm;
  }
};

/// factor times the sum over the rows, and its gradient.
template <class T, class Memory>
batch_number<Memory> compare_similarities(const batch<T, Memory>& x, points how, double factor) {
  const relations<T> s = relate(x, x.student, how), t = relate(x, x.teacher, how);
  const double* const total = x.sum_rows(x.samples(), compare_similarity_row<T>{s.gram, t.gram});
  if (x.wants_gradient()) pull_back_relations(x, s, t.gram, 2 * factor);
  return finite(x, factor, total);
}

}  // namespace detail

/// Similarity-preserving: |A_s - A_t|_F^2 / n^2, A = F F^T (n x n, of n samples), each row divided by its 2-norm.
///
/// Student and teacher may differ in width. A sample that is all 0 has a row of 0, and no gradient through it.
/// Three products of n x n x width and memory of 3 n^2.
/// @throws value_error where a feature is not finite.
///
/// Tung and Mori, Similarity-Preserving Knowledge Distillation, 2019, arXiv:1907.09682; RepDistiller computes
/// the same. torchdistill divides rows by their 1-norm, which is another loss.
struct similarity_preserving {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (x.samples() == 0) return 0;
    const double n = static_cast<double>(x.samples());
    return detail::with_teacher(*this, x, detail::compare_similarities(x, detail::points::plain, 1 / (n * n)));
  }
};

/// Activation matching: the mean over rows of 1 - <A_s,i, A_t,i>, A the n x n matrix of cosines of the rows'
/// features, each of its rows divided by its 2-norm.
///
/// Rows are the visible positions of one picture there; any rows will do. Taken as |A_s,i - A_t,i|^2 / 2, the same
/// number, which keeps its digits where both agree. A row that is all 0 counts as 0 where the other side's is too, as
/// 1/2 else. Costs as `similarity_preserving`.
/// @throws value_error where a feature is not finite.
///
/// Wei and Chellappa, ViT-Linearizer, 2025, arXiv:2504.00037: its activation matching, one stage; add stages up with
/// weight 1/stages.
struct activation_matching {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (x.samples() == 0) return 0;
    const double factor = 0.5 / static_cast<double>(x.samples());
    return detail::with_teacher(*this, x, detail::compare_similarities(x, detail::points::unit, factor));
  }
};

LIMBECK_END_NAMESPACE

#endif
