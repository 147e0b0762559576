#ifndef LIMBECK_LOSS_FEATURES_LOG_SUM_HPP
#define LIMBECK_LOSS_FEATURES_LOG_SUM_HPP

/// @file
/// The logarithm of a sum of powers of distances, beside a learned projection.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The largest distance of each row, then of all: what others are measured by, so that no power is infinite.
template <class T>
struct largest_distance_of_row {
  rows<const T> s, t;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    double top = 0;
    for_own<T>(team, s.classes, [&](std::size_t c) {
      const double d = std::fabs(static_cast<double>(s(r, c)) - static_cast<double>(t(r, c)));
      top = d > top ? d : top;
    });
    top = highest_over(team, top);
    if (team.rank() == 0) out[r] = top;
  }
};
struct largest_distance {
  const double* of_rows;
  std::size_t n;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    double top = 0;
    for_own<double>(team, n, [&](std::size_t r) { top = of_rows[r] > top ? of_rows[r] : top; });
    top = highest_over(team, top);
    if (team.rank() == 0) *out = top > 0 ? top : 1;
  }
};
template <class T>
struct powers_of_row {
  rows<const T> s, t;
  double exponent;
  const double* unit;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    return sum_own<T, double>(team, s.classes, [&](std::size_t c) {
      return std::pow(std::fabs(static_cast<double>(s(r, c)) - static_cast<double>(t(r, c))) / *unit, exponent);
    });
  }
};
struct take_logarithm {
  const double *sum, *unit;
  double exponent;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() == 0) *out = std::log(*sum) + exponent * std::log(*unit);
  }
};
template <class T>
struct slopes_of_powers_row {
  rows<const T> s, t;
  rows<T> gradient;
  double exponent, scale;
  const double *sum, *unit;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const double by = scale * exponent / *sum / *unit;
    add_to_row(team, gradient, r, [&](std::size_t c) {
      const double d = static_cast<double>(s(r, c)) - static_cast<double>(t(r, c));
      return d == 0 ? T(0) : static_cast<T>(by * std::copysign(std::pow(std::fabs(d) / *unit, exponent - 1), d));
    });
  }
};

}  // namespace detail

/// log sum |s - t|^alpha, over the features of all samples.
///
/// What is far off counts most, as in a norm of high order, and the logarithm keeps the gradient's length as distances
/// shrink. One sum for the whole batch, no mean: the number of samples shifts the value and not the gradient. Stands
/// in `projected(p, log_sum{})`, over features normalised across the batch. Derivative 0 where two features agree; where all do
/// there is no logarithm, and an exception.
/// @throws shape_error where the widths differ; value_error where a feature is not finite, all distances are 0, or
///   alpha < 1.
///
/// Miles and Mikolajczyk, Understanding the Role of the Projector in Knowledge Distillation, 2024, arXiv:2303.11098; the form
/// without epsilon of torchdistill's `SRDLoss`, whose loss is twice this and a Kullback-Leibler divergence.
struct log_sum {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;  // checked here, where projected() ends too
  double alpha = 4;                        ///< the power, at least 1

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "log_sum");
    if (!(alpha >= 1) || alpha - alpha != 0)
      raise<value_error>("limbeck: log_sum.alpha is " + detail::show(alpha) + ", expected a number of at least 1");
    if (x.samples() * x.student.classes == 0) return 0;
    const std::size_t n = x.samples(), width = x.student.classes;
    double *const tops = x.memory.template take<double>(n + 2).data(), *const unit = tops + n, *const value = unit + 1;
    x.each_row(n, width, detail::largest_distance_of_row<T>{x.student, x.teacher, tops});
    x.each_row(1, n, detail::largest_distance{tops, n, unit});
    const double* const total = x.sum_rows(width, detail::powers_of_row<T>{x.student, x.teacher, alpha, unit});
    if constexpr (batch<T, Memory>::on_host)
      if (*total == 0) raise<value_error>("limbeck: log_sum: student and teacher agree everywhere; there is no logarithm");
    x.each_row(1, 1, detail::take_logarithm{total, unit, alpha, value});
    if (x.wants_gradient())
      x.each_row(n, width, detail::slopes_of_powers_row<T>{
          x.student, x.teacher, x.gradient, alpha, static_cast<double>(x.scale), total, unit});
    return detail::with_teacher(*this, x, detail::finite(x, 1, value));
  }
};

LIMBECK_END_NAMESPACE

#endif
