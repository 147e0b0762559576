#ifndef LIMBECK_LOSS_RELATIONS_CONTRASTIVE_HPP
#define LIMBECK_LOSS_RELATIONS_CONTRASTIVE_HPP

/// @file
/// Contrast within the batch: a student's features are to be nearest to those of the teacher for the same sample. With
/// a memory of all samples instead of the batch: `crd`.

#include <limbeck/loss/relations/cosines.hpp>
#include <limbeck/loss/relations/pairs.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

struct mean_of_two {
  const double *a, *b;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() == 0) *out = (*a + *b) / 2;
  }
};

template <bool Symmetric, class T, class Memory, class Pairs>
batch_number<Memory> contrast(const batch<T, Memory>& x, double temperature, const Pairs& pairs, const char* name) {
  check_temperature(temperature, name);
  const auto roles = pairs.roles_of(x);
  using Roles = std::remove_const_t<decltype(roles)>;
  const std::size_t n = x.samples();
  const cosines_between<T> c = cosines_of(x, static_cast<T>(1 / temperature), name);
  if (n == 0) return 0;
  rows<T> back;  // the same logits, by teacher
  if constexpr (Symmetric) {
    back = take_matrix(x, n, n);
    turn<T>(x, c.products, back);
  }
  const double* value = x.sum_rows(n, contrast_row<T, Roles>{c.products, roles});
  if constexpr (Symmetric) {
    const double* const other = x.sum_rows(n, contrast_row<T, turned_roles<Roles>>{back, {roles}});
    double* const mean = x.memory.template take<double>(1).data();
    x.each_row(1, 1, mean_of_two{value, other, mean});
    value = mean;
    add_turned<T>(x, back, c.products);
  }
  const batch_number<Memory> result = finite_mean(x, value, n);
  pull_back_cosines(x, c, 1 / static_cast<double>(Symmetric ? 2 * n : n));
  return result;
}

}  // namespace detail

/// A contrastive loss that says which pairs it contrasts: what `info_nce{}.over(pairs)` returns.
template <class Loss, class Pairs>
struct over_pairs {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true, needs_labels = Pairs::needs_labels;
  Loss loss;    ///< whose temperature it is
  Pairs pairs;  ///< who is what to whom
  /// @throws shape_error, value_error as the loss and the pairs say.
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::contrast<Loss::symmetric>(x, loss.temperature, pairs, Loss::called);
  }
};

/// InfoNCE: the mean over samples i of -log softmax_j(cos(s_i, t_j)/T) at j = i. The other samples of the batch are the
/// negatives, so a larger batch is a harder task, and micro-batches are not the same as one batch.
///
/// 0 for one sample. A sample of which all features are 0 has the cosine 0 with all, and no gradient. Two products of
/// samples^2 x width, one matrix of samples^2; a third product for the gradient of the teacher, which it has
/// (`into_teacher`). Student and teacher have one width, or the student is projected.
///
/// `over(pairs)` says what each candidate is to an anchor: `other_classes`, `same_class`, a `pair_mask`. A candidate that is
/// ignored is not in the softmax; of several positives the mean of their logarithms is taken, outside of the logarithm.
/// @throws shape_error where the widths differ; value_error where a feature is not finite, or T not positive.
///
/// van den Oord, Li and Vinyals, 2018, arXiv:1807.03748, with the cosine as the score (as in SimCLR,
/// arXiv:2002.05709).
struct info_nce {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  /// @cond
  static constexpr bool symmetric = false;
  static constexpr const char* called = "info_nce";
  /// @endcond
  double temperature = 0.07;  ///< T, of the cosines; nothing to do with the temperature of logits
  /// The same over other pairs.
  template <class Pairs>
  over_pairs<info_nce, Pairs> over(const Pairs& pairs) const {
    return {*this, pairs};
  }
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::contrast<symmetric>(x, temperature, all_others{}, called);
  }
};

/// The mean of InfoNCE from student to teacher and from teacher to student: CLIP's loss, with T a constant (CLIP learns
/// it from 0.07 on). The rest as in `info_nce`. Radford et al., 2021, arXiv:2103.00020.
struct symmetric_info_nce {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  /// @cond
  static constexpr bool symmetric = true;
  static constexpr const char* called = "symmetric_info_nce";
  /// @endcond
  double temperature = 0.07;  ///< T, of the cosines
  /// The same over other pairs.
  template <class Pairs>
  over_pairs<symmetric_info_nce, Pairs> over(const Pairs& pairs) const {
    return {*this, pairs};
  }
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    return detail::contrast<symmetric>(x, temperature, all_others{}, called);
  }
};

LIMBECK_END_NAMESPACE

#endif
