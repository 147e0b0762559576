#ifndef LIMBECK_LOSS_FEATURES_BETA_KL_HPP
#define LIMBECK_LOSS_FEATURES_BETA_KL_HPP

/// @file
/// KL divergence of Beta distributions: policies whose actions lie in an interval.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

#include <cmath>
#include <limits>
#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// log Gamma(x) and its derivative for x > 0: Stirling's series from 10 up, recurrence below.
struct gamma_at {
  double log, slope;
  LIMBECK_HOST_DEVICE explicit gamma_at(double x) : log(0), slope(0) {
    double product = 1;
    for (; x < 10; x += 1) {
      product *= x;
      slope -= 1 / x;
    }
    const double u = 1 / x, y = u * u, log_x = std::log(x);
    constexpr double half_log_2_pi = 0.918938533204672741780;
    log = (x - 0.5) * log_x - x + half_log_2_pi - std::log(product) +
          u * (1 / 12.0 - y * (1 / 360.0 - y * (1 / 1260.0 - y * (1 / 1680.0 - y * (1 / 1188.0 - y * (691 / 360360.0))))));
    slope += log_x - 0.5 * u -
             y * (1 / 12.0 - y * (1 / 120.0 - y * (1 / 252.0 - y * (1 / 240.0 - y * (1 / 132.0 - y * (691 / 32760.0))))));
  }
};

}  // namespace detail

/// Mean over the distributions of a row of KL(Beta(a', b') || Beta(a, b)): the teacher's a', b', the student's a, b.
///
/// A row holds the first parameter of each distribution, then the second of each: columns are even in number. The
/// parameters are those that a softplus gives, which stays the network's. It is
/// log B(a, b) - log B(a', b') + (a' - a) psi(a') + (b' - b) psi(b') + (a - a' + b - b') psi(a' + b'), in double, right to
/// about 1e-15 of its terms. A loss of rows: weights, masks and signals reach it. No temperature.
/// @throws shape_error where the number of columns is odd; value_error where a temperature is not 1, a number of either
///         side is not finite, or a parameter is not positive (on a device a loss
///         that is nan). O(samples x columns).
/// As in DriveAdapter, Jia et al., 2023, arXiv:2308.00398, and its `driver_adapter_head.py`.
struct beta_kl {
  using limbeck_loss = rowwise;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 0;
  static constexpr bool fixed_temperature = true;

  void check_call(std::size_t samples, std::size_t columns, double student_temperature, double teacher_temperature) const {
    if (columns % 2 != 0) detail::throw_shape("the parameters of beta_kl", samples, columns, samples, columns + 1);
    if (student_temperature != 1 || teacher_temperature != 1)
      raise<value_error>("limbeck: beta_kl has parameters of distributions, not logits; take it out of at_temperature");
  }

  /// Of a row whose loss is nan, on the host.
  template <class Rows>
  void check_row(const Rows& student, const Rows& teacher, std::size_t r) const {
    for (const bool of_teacher : {false, true})
      for (std::size_t c = 0; (!of_teacher || teacher.data) && c < student.classes; ++c)
        if (const double a = static_cast<double>((of_teacher ? teacher : student)(r, c)); !(a > 0))
          raise<value_error>(std::string("limbeck: ") + (of_teacher ? "teacher" : "student") + " is " + detail::show(a) + " at row " +
                             std::to_string(r) + ", column " + std::to_string(c) + ", expected a positive parameter of beta_kl");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const std::size_t n = x.student.size() / 2;
    const double scale = static_cast<double>(x.scale) / static_cast<double>(n);
    // every thread's own are columns, and each distribution is that of two: what a thread adds to is its own
    double total = 0;
    x.each_own([&](std::size_t c) {
      const std::size_t i = c < n ? c : c - n;
      const double a = static_cast<double>(x.student[i]), b = static_cast<double>(x.student[i + n]);
      const double s = static_cast<double>(x.teacher[i]), t = static_cast<double>(x.teacher[i + n]);
      if (!(a > 0 && b > 0 && s > 0 && t > 0)) {
        total = std::numeric_limits<double>::quiet_NaN();
        return;
      }
      if (c >= n && x.gradient.empty()) return;
      const detail::gamma_at ga(a), gb(b), gab(a + b), gs(s), gt(t), gst(s + t);
      if (c < n)
        total += ((ga.log - gs.log) + (gb.log - gt.log) - (gab.log - gst.log)) + (s - a) * gs.slope + (t - b) * gt.slope +
               ((a - s) + (b - t)) * gst.slope;
      const double slope = (c < n ? ga.slope - gs.slope : gb.slope - gt.slope) - (gab.slope - gst.slope);
      if (!x.gradient.empty()) x.gradient[c] += static_cast<T>(scale * slope);
    });
    const double value = x.sum(total) / static_cast<double>(n);
    return static_cast<T>(value < 0 ? 0 : value);
  }
};

LIMBECK_END_NAMESPACE

#endif
