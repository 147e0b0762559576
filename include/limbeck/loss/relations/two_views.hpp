#ifndef LIMBECK_LOSS_RELATIONS_TWO_VIEWS_HPP
#define LIMBECK_LOSS_RELATIONS_TWO_VIEWS_HPP

/// @file
/// Student and teacher as two views of each sample: every row of both is an anchor, and all others are its candidates.

#include <limbeck/loss/relations/cosines.hpp>
#include <limbeck/loss/relations/pairs.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Of 2n rows, n of either view: the other view of a sample is the positive; the anchor itself is not seen.
struct other_view {
  static constexpr bool only_own = false;
  std::size_t samples;
  LIMBECK_HOST_DEVICE pair_role role(std::size_t i, std::size_t j) const {
    if (i == j) return pair_role::ignored;
    return j == (i < samples ? i + samples : i - samples) ? pair_role::positive : pair_role::negative;
  }
};
/// The same, and both views of all samples of the anchor's class.
struct views_of_class {
  static constexpr bool only_own = false;
  std::size_t samples;
  const std::int64_t* labels;
  LIMBECK_HOST_DEVICE pair_role role(std::size_t i, std::size_t j) const {
    if (i == j) return pair_role::ignored;
    return label(i) == label(j) ? pair_role::positive : pair_role::negative;
  }
  LIMBECK_HOST_DEVICE std::int64_t label(std::size_t i) const { return labels[i < samples ? i : i - samples]; }
};

/// @p count rows of a view.
template <class T>
rows<T> rows_from(const rows<T>& x, std::size_t first, std::size_t count) {
  return {x.row(first), count, x.classes, x.sample_stride, x.class_stride};
}

/// The mean over all 2n anchors.
template <class T, class Memory, class Roles>
batch_number<Memory> contrast_views(const batch<T, Memory>& x, double temperature, const Roles& roles, const char* name) {
  check_widths(x, name);
  check_temperature(temperature, name);
  const std::size_t n = x.samples(), width = x.student.classes;
  if (n == 0) return 0;
  const rows<T> views = take_matrix(x, 2 * n, width), logits = take_matrix(x, 2 * n, 2 * n);
  T* const norms = x.memory.template take<T>(2 * n).data();
  x.each_row(n, width, unit_row<T>{x.student, rows_from(views, 0, n), norms});
  x.each_row(n, width, unit_row<T>{x.teacher, rows_from(views, n, n), norms + n});
  x.multiply(static_cast<T>(1 / temperature), views, rows<const T>(views).transposed(), T(0), logits);
  const std::span<double> values = x.memory.template take<double>(2 * n);
  using row = contrast_row<T, Roles>;
  x.each_row(2 * n, 2 * n, value_of_row<row>{row{logits, roles}, values.data()});
  const batch_number<Memory> result = finite_mean(x, x.add_up(values), 2 * n);

  const T scale = static_cast<T>(static_cast<double>(x.scale) / (temperature * static_cast<double>(2 * n)));
  const auto back = [&](std::size_t first, const rows<T>& gradient) {  // each pair is seen by both of its rows
    const rows<T> slope = take_matrix(x, n, width);
    x.multiply(scale, rows_from(logits, first, n), views, T(0), slope);
    x.multiply(scale, rows_from(logits.transposed(), first, n), views, T(1), slope);
    x.each_row(n, width, pull_back_unit_row<T>{rows_from(views, first, n), norms + first, slope, gradient});
  };
  if (x.wants_gradient()) back(0, x.gradient);
  if (x.wants_teacher_gradient()) back(n, x.teacher_gradient);
  return result;
}

}  // namespace detail

/// NT-Xent: the mean over all 2n rows, n of the student and n of the teacher, of -log softmax(cos/T) at the other view of the
/// sample, among all rows but the anchor.
///
/// Two views of one network are student and teacher here: give `into_teacher` the gradient of the second. It has log(2n - 1) of
/// views that are all alike, and 0 for one sample. A row that is all 0 has the cosine 0 with all, and no gradient. Products of
/// 4 n^2 x width, one matrix of 4 n^2.
/// @throws shape_error where the widths differ; value_error where a feature is not finite, or T not positive.
///
/// Chen, Kornblith, Norouzi and Hinton, A Simple Framework for Contrastive Learning of Visual Representations (SimCLR), 2020,
/// arXiv:2002.05709; it uses T from 0.1 to 1.
struct nt_xent {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  double temperature = 0.5;  ///< T, of the cosines
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::contrast_views(x, temperature, detail::other_view{x.samples()}, "nt_xent");
  }
};

/// Supervised contrast, L_out: `nt_xent` with all rows of the anchor's class, of both views, as its positives, of which the mean
/// of -log softmax is taken. Needs labels.
///
/// With labels that are all different it is `nt_xent`. With the student's rows as the only anchors and the teacher's as the only
/// candidates: `info_nce{}.over(same_class{})`. Costs and errors as there.
///
/// Khosla et al., Supervised Contrastive Learning, 2020, arXiv:2004.11362, L^sup_out, and the authors' `SupConLoss` with two
/// views, whose factor T/base temperature is 1.
struct supervised_contrast {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true, needs_labels = true;
  double temperature = 0.07;  ///< T, of the cosines
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::contrast_views(x, temperature, detail::views_of_class{x.samples(), detail::labels_of(x)}, "supervised_contrast");
  }
};

LIMBECK_END_NAMESPACE

#endif
