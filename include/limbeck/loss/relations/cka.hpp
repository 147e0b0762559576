#ifndef LIMBECK_LOSS_RELATIONS_CKA_HPP
#define LIMBECK_LOSS_RELATIONS_CKA_HPP

/// @file
/// Centred kernel alignment, and the same of cosines.

#include <limbeck/loss/relations/gram.hpp>

#include <cmath>
#include <cstddef>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct squares_of_row {
  rows<T> x;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    return sum_own<T, double>(team, x.classes, [&](std::size_t j) {
      return static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
    });
  }
};
/// The norms of two Gram matrices, and 1 over the first; where either is constant there is no gradient.
struct gram_norms {
  double student, teacher, inverse;
  LIMBECK_HOST_DEVICE bool degenerate() const { return student == 0 || teacher == 0; }
};
struct take_norms {
  const double *student, *teacher;
  gram_norms* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() != 0) return;
    out->student = std::sqrt(*student);
    out->teacher = std::sqrt(*teacher);
    out->inverse = out->degenerate() ? 0 : 1 / out->student;
  }
};
/// |K/|K| - L/|L||^2 of a row; L becomes the difference.
template <class T>
struct compare_gram_row {
  rows<T> s, t;
  const gram_norms* norms;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const double a = norms->student, b = norms->teacher;
    if (norms->degenerate()) {
      for_own<T>(team, t.classes, [&](std::size_t j) { t(i, j) = T(0); });
      return i > 0 || a == b ? 0 : 2 + 0 * (a + b);  // NaN stays
    }
    return sum_own<T, double>(team, t.classes, [&](std::size_t j) {
      const double d = static_cast<double>(s(i, j)) / a - static_cast<double>(t(i, j)) / b;
      t(i, j) = static_cast<T>(d);
      return d * d;
    });
  }
};
/// Less what a longer K alone would change.
template <class T>
struct project_gram_row {
  rows<T> s, t;
  const gram_norms* norms;
  const double* difference;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    if (norms->degenerate()) return;
    const double half = *difference / 2, a = norms->student;  // half: <K/|K| - L/|L|, K/|K|>
    for_own<T>(team, t.classes, [&](std::size_t j) { t(i, j) -= static_cast<T>(half * static_cast<double>(s(i, j)) / a); });
  }
};

/// 1 - <K, L> / (|K| |L|) of the Gram matrices of both sides.
template <class T, class Memory>
batch_number<Memory> align_grams(const batch<T, Memory>& x, points how) {
  const std::size_t n = x.samples();
  if (n == 0) return 0;
  const relations<T> s = relate(x, x.student, how), t = relate(x, x.teacher, how);
  gram_norms* const norms = x.memory.template take<gram_norms>(1).data();
  const double* const a = x.sum_rows(n, squares_of_row<T>{s.gram});
  const double* const b = x.sum_rows(n, squares_of_row<T>{t.gram});
  x.each_row(1, 1, take_norms{a, b, norms});
  const double* const difference = x.sum_rows(n, compare_gram_row<T>{s.gram, t.gram, norms});
  if (x.wants_gradient()) {
    x.each_row(n, n, project_gram_row<T>{s.gram, t.gram, norms, difference});
    pull_back_relations(x, s, t.gram, 1, &norms->inverse);
  }
  return finite(x, 0.5, difference);
}

}  // namespace detail

/// 1 - CKA with the linear kernel: CKA = <K, L> / (|K|_F |L|_F), K = X X^T and L = Y Y^T of features whose columns
/// have mean 0.
///
/// That is |Y^T X|^2 / (|X^T X| |Y^T Y|). Neither rotation nor scale nor shift of either side changes it; values in
/// [0, 1]. Taken as |K/|K| - L/|L||^2 / 2, the same number, which keeps its digits where both agree. The (biased)
/// estimator of the paper, whose value falls with few samples and many features even for unrelated ones. Where one
/// side is constant the loss is 1, where both are it is 0, without a gradient. Student and teacher may differ in
/// width. Costs as `similarity_preserving`.
/// @throws value_error where a feature is not finite.
///
/// Kornblith et al., Similarity of Neural Network Representations Revisited, 2019, arXiv:1905.00414.
struct linear_cka {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::with_teacher(*this, x, detail::align_grams(x, detail::points::centred));
  }
};

/// 1 - <R, R'> / (|R|_F |R'|_F), R the matrix of the cosines of all pairs of the student's rows, and R' the teacher's.
///
/// Rows are the visual tokens of a picture, or any others. Neither rotation nor the length of a row changes it; rows that are
/// all orthogonal have R = 1. Taken as half a squared distance, as `linear_cka`, which centres the features in the place of
/// dividing them by their norms. Student and teacher may differ in width. A row that is all 0 has cosine 0 with all, itself
/// among them, and no gradient. Costs as `similarity_preserving`.
/// @throws value_error where a feature is not finite.
///
/// A loss of this library: LLaVA-KD (Cai et al., 2024, arXiv:2410.16236) relates visual tokens by such a matrix; what it takes
/// between two of them was not read.
struct self_correlation {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::with_teacher(*this, x, detail::align_grams(x, detail::points::unit));
  }
};

LIMBECK_END_NAMESPACE

#endif
