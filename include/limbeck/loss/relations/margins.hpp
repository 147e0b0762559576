#ifndef LIMBECK_LOSS_RELATIONS_MARGINS_HPP
#define LIMBECK_LOSS_RELATIONS_MARGINS_HPP

/// @file
/// Cosines between student and teacher, up to a margin.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/relations/cosines.hpp>

#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// 1 - cos of the row's own pair, and what the others' cosines have beyond the margin; cosines become slopes.
template <class T>
struct embed_row {
  rows<T> cosines;
  double margin;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    return sum_own<T, double>(team, cosines.classes, [&](std::size_t j) {
      const double cosine = static_cast<double>(cosines(i, j)), over = j == i ? 1 - cosine : cosine - margin;
      const bool counts = j == i || !(over <= 0);  // NaN does
      cosines(i, j) = j == i ? T(-1) : T(counts);
      return counts ? over : 0.0;
    });
  }
};
/// What the cosine of a row's own pair lacks.
template <class T>
struct near_enough_row {
  rows<const T> s, t;
  const T *norms, *others;
  rows<T> gradient, teacher_gradient;
  double enough;
  row_shares shares;
  T scale;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const double share = shares(i);
    const T by = static_cast<T>(share * static_cast<double>(scale));
    const T *const a = s.row(i), *const b = t.row(i);
    const T cosine = inner_product(team, a, b, s.classes);
    const double lacks = enough - static_cast<double>(cosine);
    if (lacks <= 0) return 0;
    const auto towards = [&](const rows<T>& g, const T* own, const T* other, T norm) {
      if (!g.data || norm == T(0)) return;
      add_to_row(team, g, i, [&](std::size_t c) { return by * (cosine * own[c] - other[c]) / norm; });
    };
    towards(gradient, a, b, norms[i]);
    towards(teacher_gradient, b, a, others[i]);
    return share * lacks;
  }
};

inline void check_margin(double margin, const char* loss) {
  if (margin - margin != 0)
    raise<value_error>(std::string("limbeck: ") + loss + ".margin is " + show(margin) + ", expected a finite number");
}

}  // namespace detail

/// The mean over rows of max(0, 1 - margin - cos(s_i, t_i)): rows that are near enough are left alone.
///
/// Rows are the positions of a latent picture there; any rows will do. Student and teacher have one width, or the student is
/// projected. Derivative 0 at the kink. A row that is all 0 has cosine 0, and no gradient. O(samples x width).
/// @throws shape_error where the widths differ; value_error where a feature or the margin is not finite.
///
/// Yao, Yang and Wang, Reconstruction vs. Generation (VA-VAE), 2025, arXiv:2501.01423: L_mcos, m1 = 0.5; with
/// `marginal_distance_matrix` it is its VF loss. As in ports of the authors' code.
struct margin_cosine {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true, into_teacher = true;
  double margin = 0.5;  ///< what a cosine may lack, finite
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "margin_cosine");
    detail::check_margin(margin, "margin_cosine");
    const std::size_t n = x.samples(), width = x.student.classes;
    if (n == 0) return 0;
    const rows<T> s = detail::take_matrix(x, n, width), t = detail::take_matrix(x, n, width);
    T *const norms = x.memory.template take<T>(n).data(), *const others = x.memory.template take<T>(n).data();
    x.each_row(n, width, detail::unit_row<T>{x.student, s, norms});
    x.each_row(n, width, detail::unit_row<T>{x.teacher, t, others});
    return detail::finite(x, 1, x.sum_rows(width, detail::near_enough_row<T>{
        s, t, norms, others, x.gradient, x.teacher_gradient, 1 - margin, detail::shares_of(x), x.scale}));
  }
};

/// The cosine embedding loss over all pairs of a batch: the mean over samples i of 1 - cos(s_i, t_i) + the sum over j != i of
/// max(0, cos(s_i, t_j) - margin).
///
/// Divided by samples, not by pairs, as in the authors' code. Without contrast it is `margin_cosine{.margin = 0}`. Student and
/// teacher have one width, or the student is projected. Derivative 0 at the kink. Costs as `info_nce`.
/// @throws shape_error where the widths differ; value_error where a feature or the margin is not finite.
///
/// Heffernan, Çelebi and Schwenk, Bitext Mining Using Distilled Sentence Representations for Low-Resource Languages (LASER3),
/// 2022, arXiv:2205.12654, by the `encoder_similarity` criterion of their code with `--contrast`.
struct cosine_embedding {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  double margin = 0;  ///< cosines of other pairs up to here are free, finite
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples();
    detail::check_margin(margin, "cosine_embedding");
    const detail::cosines_between<T> c = detail::cosines_of(x, T(1), "cosine_embedding");
    if (n == 0) return 0;
    const batch_number<Memory> result = detail::finite_mean(x, x.sum_rows(n, detail::embed_row<T>{c.products, margin}), n);
    detail::pull_back_cosines(x, c, 1 / static_cast<double>(n));
    return result;
  }
};

LIMBECK_END_NAMESPACE

#endif
