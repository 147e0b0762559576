#ifndef LIMBECK_LOSS_RELATIONS_CONTRASTIVE_HPP
#define LIMBECK_LOSS_RELATIONS_CONTRASTIVE_HPP

/// @file
/// Contrast within the batch: a student's features are to be nearest to those of the teacher for the same sample. With
/// a memory of all samples instead of the batch: `crd`.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Cross-entropy of the rows of @p logits with their own index as the label, summed; logits become their slopes.
template <class T>
double identify_rows(const batch<T>& x, const rows<T>& logits) {
  return sum_rows(x, [&](std::size_t r, std::size_t) {
    T* const a = logits.row(r);
    const T top = largest(a, logits.classes), own = a[r] - top;
    const T total = exponentials(a, logits.classes, top);
    for (std::size_t c = 0; c < logits.classes; ++c) a[c] /= total;
    a[r] -= T(1);
    return std::log(static_cast<double>(total)) - static_cast<double>(own);
  });
}

template <bool Symmetric, class T>
double contrast(const batch<T>& x, double temperature, const char* name) {
  check_widths(x, name);
  if (!(temperature > 0))
    raise<value_error>(std::string("limbeck: ") + name + ".temperature is " + show(temperature) +
                       ", expected a positive number");
  const std::size_t n = x.samples(), width = x.student.classes;
  if (n == 0) return 0;
  const auto take = [&](std::size_t columns) {
    return rows<T>(x.memory.template take<T>(n * columns).data(), n, columns);
  };
  const rows<T> s = take(width), t = take(width), logits = take(n);
  const std::span<T> norms = x.memory.template take<T>(n), others = x.memory.template take<T>(n);
  unit_rows(x.student, s, norms, x.on);
  unit_rows(x.teacher, t, others, x.on);
  const T inverse = static_cast<T>(1 / temperature);
  x.dense.multiply(inverse, s, rows<const T>(t).transposed(), T(0), logits, x.memory, x.on);
  rows<T> back;  // the same logits, by teacher
  if constexpr (Symmetric) {
    back = take(n);
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t c = 0; c < n; ++c) back(c, r) = logits(r, c);
  }
  double value = identify_rows(x, logits);
  if constexpr (Symmetric) value = (value + identify_rows(x, back)) / 2;
  value = finite(x, value / static_cast<double>(n));
  if (!x.wants_gradient()) return value;

  const rows<T> slope = take(width);
  const T scale = x.scale * inverse / static_cast<T>(Symmetric ? 2 * n : n);
  x.dense.multiply(scale, logits, t, T(0), slope, x.memory, x.on);
  if constexpr (Symmetric) x.dense.multiply(scale, rows<const T>(back).transposed(), t, T(1), slope, x.memory, x.on);
  x.on(n, [&](std::size_t r, std::size_t) {
    T* const g = slope.row(r);
    pull_back_unit(s.row(r), norms[r], g, width);
    add_to_row(x.gradient, r, [&](std::size_t c) { return g[c]; });
  });
  return value;
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
  template <class T>
  double operator()(const batch<T>& x) const {
    return detail::contrast<false>(x, temperature, "info_nce");
  }
};

/// The mean of InfoNCE from student to teacher and from teacher to student: CLIP's loss, with T a constant (CLIP learns
/// it from 0.07 on). Three products; the rest as in `info_nce`. Radford et al., 2021, arXiv:2103.00020.
struct symmetric_info_nce {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true;
  double temperature = 0.07;  ///< T, of the cosines
  template <class T>
  double operator()(const batch<T>& x) const {
    return detail::contrast<true>(x, temperature, "symmetric_info_nce");
  }
};

LIMBECK_END_NAMESPACE

#endif
