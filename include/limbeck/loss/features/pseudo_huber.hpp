#ifndef LIMBECK_LOSS_FEATURES_PSEUDO_HUBER_HPP
#define LIMBECK_LOSS_FEATURES_PSEUDO_HUBER_HPP

/// @file
/// The distance of two rows, rounded off near 0.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/features/cosine_loss.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

/// sqrt(|s - t|^2 + c^2) - c, of whole rows: |s - t|^2/(2c) where they are near, |s - t| - c where they are far. Its gradient is
/// (s - t)/sqrt(|s - t|^2 + c^2).
///
/// A loss of rows, as `row_distance`: there is no mean over columns (the codes that divide by sqrt(columns) are that times this).
/// The metric of codes that take the root element by element, sqrt(d^2 + c^2) - c, is `c * barron{.alpha = 1, .scale = c}`. Multiplied
/// by T^2, so that T cancels where rows are near.
/// @throws value_error where the scale is not positive and finite, or a number of either side is not finite. O(samples x columns).
///
/// Song and Dhariwal, Improved Techniques for Training Consistency Models, 2023, arXiv:2310.14189, with c = 0.00054 sqrt(columns).
struct pseudo_huber {
  using limbeck_loss = rowwise;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 2;

  double scale = 0.03;  ///< c, positive: where a distance counts as far

  void check() const {
    if (!(scale > 1e-30 && scale < 1e30))
      raise<value_error>("limbeck: pseudo_huber.scale is " + detail::show(scale) + ", expected a positive, finite number");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const double of_student = static_cast<double>(x.student_temperature);
    const double of_teacher = static_cast<double>(x.teacher_temperature);
    const auto apart = [&](std::size_t c) {
      const double s = static_cast<double>(x.student[c]), t = static_cast<double>(x.teacher[c]);
      return of_student == of_teacher ? (s - t) / of_student : s / of_student - t / of_teacher;
    };
    const double far = detail::norm_over<T>(x.team, x.student.size(), apart), root = std::hypot(far, scale);
    if (!x.gradient.empty()) {
      const double by = static_cast<double>(x.scale) / of_student / root;
      x.each_own([&](std::size_t c) { x.gradient[c] += static_cast<T>(by * apart(c)); });
    }
    return static_cast<T>(far * (far / (root + scale)));
  }
};

LIMBECK_END_NAMESPACE

#endif
