#ifndef LIMBECK_LOSS_FEATURES_PAD_L2_HPP
#define LIMBECK_LOSS_FEATURES_PAD_L2_HPP

/// @file
/// Prime-aware adaptive distillation: squared distances over variances that the student predicts for each sample.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct adaptive_distance_row {
  rows<const T> s, t;
  rows<T> gradient;
  row_shares shares;
  double epsilon, scale;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    const std::size_t n = t.classes;
    const double share = shares(r) / static_cast<double>(n), by = share * scale;
    return share * sum_own<T, double>(team, n, [&](std::size_t c) {
      const double d = static_cast<double>(s(r, c)) - static_cast<double>(t(r, c)), log_variance = static_cast<double>(s(r, n + c));
      const double weight = epsilon > 0 ? 1 / (epsilon + std::exp(log_variance)) : std::exp(-log_variance);
      const double along = d == 0 ? 0 : d * weight, square = d * along;  // the weight may be infinite
      if (gradient.data) {
        const double part = epsilon > 0 ? 1 / (1 + epsilon * std::exp(-log_variance)) : 1;  // of the variance that is not epsilon
        gradient(r, c) += static_cast<T>(by * 2 * along);
        gradient(r, n + c) += static_cast<T>(by * (1 - square * part));
      }
      return square + log_variance;
    });
  }
};

}  // namespace detail

/// The mean over samples and features of (s - t)^2/(e^v + epsilon) + v, where v, the log of a variance, is the student's too:
/// samples that it finds hard count less.
///
/// A row of the student holds its features and, after them, as many v: let `forward` give both side by side, v from a
/// branch of its own (two small layers there). The teacher's row is half as long. `vid` has one variance a channel for all
/// samples. Not 0 where student and teacher agree.
/// @throws shape_error unless the student has twice as many columns as the teacher; value_error where a feature is not
///   finite or epsilon not a number of at least 0.
///
/// Zhang, Lan, Dai, Zeng, Bai, Chang and Wei, Prime-Aware Adaptive Distillation, 2020, arXiv:2008.01458; epsilon and means as
/// in torchdistill, after the authors' code.
struct pad_l2 {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true;
  double epsilon = 1e-6;  ///< beside each variance, at least 0

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (x.student.classes != 2 * x.teacher.classes)
      raise<shape_error>("limbeck: student has " + std::to_string(x.student.classes) + " columns and teacher " +
                         std::to_string(x.teacher.classes) + ", but pad_l2 needs twice as many of the student: features, then "
                         "the logs of their variances");
    if (!(epsilon >= 0) || epsilon - epsilon != 0)
      raise<value_error>("limbeck: pad_l2.epsilon is " + detail::show(epsilon) + ", expected a number of at least 0");
    if (x.samples() * x.teacher.classes == 0) return 0;
    return detail::finite(x, 1, x.sum_rows(x.student.classes, detail::adaptive_distance_row<T>{
        x.student, x.teacher, x.gradient, detail::shares_of(x), epsilon, static_cast<double>(x.scale)}));
  }
};

LIMBECK_END_NAMESPACE

#endif
