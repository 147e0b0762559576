#ifndef LIMBECK_LOSS_FEATURES_FACTOR_TRANSFER_HPP
#define LIMBECK_LOSS_FEATURES_FACTOR_TRANSFER_HPP

/// @file
/// Factor transfer: the distance between factors of unit length.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// |u_s - u_t|_p of a sample, and its gradient; each slot has memory for two rows.
template <class T>
struct factor_row {
  rows<const T> s, t;
  rows<T> gradient;
  double power;
  row_shares shares;
  T scale;
  T* memory;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const std::size_t n = s.classes;
    T *const u = memory + 2 * slot * n, *const d = u + n;
    unit_vector(team, n, [&](std::size_t c) { return t(r, c); }, d);
    const T norm = unit_vector(team, n, [&](std::size_t c) { return s(r, c); }, u);
    for_own<T>(team, n, [&](std::size_t c) { d[c] = u[c] - d[c]; });
    T largest = 0;  // a high power of what is left would be 0
    for_own<T>(team, n, [&](std::size_t c) { largest = std::fabs(d[c]) > largest ? std::fabs(d[c]) : largest; });
    largest = highest_over(team, largest);
    const double top = largest > T(0) ? static_cast<double>(largest) : 1;
    const double p = power, total = sum_own<T, double>(team, n, [&](std::size_t c) {
      const double size = std::fabs(static_cast<double>(d[c])) / top;
      return p == 1 ? size : p == 2 ? size * size : std::pow(size, p);
    });
    const double value = top * (p == 1 ? total : p == 2 ? std::sqrt(total) : std::pow(total, 1 / p));
    const double share = shares(r);
    if (!gradient.data) return share * value;
    for_own<T>(team, n, [&](std::size_t c) {
      const double ratio = static_cast<double>(d[c]) / value, size = std::fabs(ratio);
      const double slope = p == 1 ? 1.0 : p == 2 ? size : std::pow(size, p - 1);
      d[c] = d[c] == T(0) ? T(0) : static_cast<T>(std::copysign(slope, ratio));
    });
    pull_back_unit(team, u, norm, d, n);
    add_to_row(team, gradient, r, [&](std::size_t c) { return static_cast<T>(share) * scale * d[c]; });
    return share * value;
  }
};

}  // namespace detail

/// The mean over samples of |s/|s|_2 - t/|t|_2|_p.
///
/// Rows are factors: of the teacher those of a paraphraser, an autoencoder of its features that was trained before and stays
/// as it is; of the student those of a translator, which is trained with it and may be a part of `forward`, or
/// `projected(p, factor_transfer{})`. Both have one width. The authors' code takes the mean of |.| over the features:
/// the weight 1/features, times their 500. Derivative 0 where two features agree. A row that is all 0 stays 0 and has no
/// gradient.
/// @throws shape_error where the widths differ; value_error where a feature is not finite, or p < 1.
///
/// Kim, Park and Kwak, Paraphrasing Complex Network: Network Compression via Factor Transfer, 2018, arXiv:1802.04977.
struct factor_transfer {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true, into_teacher = true;  // checked here, where projected() ends too
  double p = 1;                                           ///< of the norm, at least 1

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "factor_transfer");
    if (!(p >= 1) || p - p != 0)
      raise<value_error>("limbeck: factor_transfer.p is " + detail::show(p) + ", expected a number of at least 1");
    if (x.samples() * x.student.classes == 0) return 0;
    T* const memory = x.memory.template take<T>(2 * x.slots(x.samples()) * x.student.classes).data();
    return detail::with_teacher(*this, x, detail::finite(x, 1, x.sum_rows_in_slots(x.student.classes, detail::factor_row<T>{
        x.student, x.teacher, x.gradient, p, detail::shares_of(x), x.scale, memory})));
  }
};

LIMBECK_END_NAMESPACE

#endif
