#ifndef LIMBECK_LOSS_RELATIONS_CONTRASTIVE_HPP
#define LIMBECK_LOSS_RELATIONS_CONTRASTIVE_HPP

/// @file
/// Contrast within the batch: a student's features are to be nearest to those of the teacher for the same sample. With
/// a memory of all samples instead of the batch: `crd`.

#include <limbeck/loss/relations/gram.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Cross-entropy of a row of @p logits with its own index as the label; logits become their slopes.
template <class T>
struct identify_row {
  rows<T> logits;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    T* const a = logits.row(r);
    const T logit = a[r], top = largest(team, a, logits.classes), own = logit - top;
    team.wait();  // all have read the logit, which its owner overwrites
    const T total = exponentials(team, a, logits.classes, top);
    for_own<T>(team, logits.classes, [&](std::size_t c) { a[c] /= total; });
    team.wait();
    if (team.rank() == 0) a[r] -= T(1);
    return std::log(static_cast<double>(total)) - static_cast<double>(own);
  }
};
template <class T>
struct transpose_row {
  rows<T> from, to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    for_own<T>(team, to.classes, [&](std::size_t c) { to(r, c) = from(c, r); });
  }
};
struct mean_of_two {
  const double *a, *b;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() == 0) *out = (*a + *b) / 2;
  }
};

template <bool Symmetric, class T, class Memory>
batch_number<Memory> contrast(const batch<T, Memory>& x, double temperature, const char* name) {
  check_widths(x, name);
  if (!(temperature > 0))
    raise<value_error>(std::string("limbeck: ") + name + ".temperature is " + show(temperature) +
                       ", expected a positive number");
  const std::size_t n = x.samples(), width = x.student.classes;
  if (n == 0) return 0;
  const rows<T> s = take_matrix(x, n, width), t = take_matrix(x, n, width), logits = take_matrix(x, n, n);
  T *const norms = x.memory.template take<T>(n).data(), *const others = x.memory.template take<T>(n).data();
  x.each_row(n, width, unit_row<T>{x.student, s, norms});
  x.each_row(n, width, unit_row<T>{x.teacher, t, others});
  const T inverse = static_cast<T>(1 / temperature);
  x.multiply(inverse, s, rows<const T>(t).transposed(), T(0), logits);
  rows<T> back;  // the same logits, by teacher
  if constexpr (Symmetric) {
    back = take_matrix(x, n, n);
    x.each_row(n, n, transpose_row<T>{logits, back});
  }
  const double* value = x.sum_rows(n, identify_row<T>{logits});
  if constexpr (Symmetric) {
    const double* const other = x.sum_rows(n, identify_row<T>{back});
    double* const mean = x.memory.template take<double>(1).data();
    x.each_row(1, 1, mean_of_two{value, other, mean});
    value = mean;
  }
  const batch_number<Memory> result = finite_mean(x, value, n);
  if (!x.wants_gradient()) return result;

  const rows<T> slope = take_matrix(x, n, width);
  const T scale = x.scale * inverse / static_cast<T>(Symmetric ? 2 * n : n);
  x.multiply(scale, logits, t, T(0), slope);
  if constexpr (Symmetric) x.multiply(scale, rows<const T>(back).transposed(), t, T(1), slope);
  x.each_row(n, width, pull_back_unit_row<T>{s, norms, slope, x.gradient});
  return result;
}

}  // namespace detail

/// InfoNCE: the mean over samples i of -log softmax_j(cos(s_i, t_j)/T) at j = i. The other samples of the batch are the
/// negatives, so a larger batch is a harder task, and micro-batches are not the same as one batch.
///
/// 0 for one sample. A sample of which all features are 0 has the cosine 0 with all, and no gradient. Two products of
/// samples^2 x width, one matrix of samples^2. Student and teacher have one width, or the student is projected.
/// @throws shape_error where the widths differ; value_error where a feature is not finite, or T not positive.
///
/// van den Oord, Li and Vinyals, 2018, arXiv:1807.03748, with the cosine as the score (as in SimCLR,
/// arXiv:2002.05709).
struct info_nce {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true;
  double temperature = 0.07;  ///< T, of the cosines; nothing to do with the temperature of logits
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::contrast<false>(x, temperature, "info_nce");
  }
};

/// The mean of InfoNCE from student to teacher and from teacher to student: CLIP's loss, with T a constant (CLIP learns
/// it from 0.07 on). Three products; the rest as in `info_nce`. Radford et al., 2021, arXiv:2103.00020.
struct symmetric_info_nce {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true;
  double temperature = 0.07;  ///< T, of the cosines
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::contrast<true>(x, temperature, "symmetric_info_nce");
  }
};

LIMBECK_END_NAMESPACE

#endif
