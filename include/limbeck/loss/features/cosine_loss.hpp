#ifndef LIMBECK_LOSS_FEATURES_COSINE_LOSS_HPP
#define LIMBECK_LOSS_FEATURES_COSINE_LOSS_HPP

/// @file
/// One minus the cosine of two rows, and their distance.

#include <limbeck/engine/point.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The 2-norm of f(c) over a row, whatever its size.
template <class T, class Team, class F>
LIMBECK_HOST_DEVICE double norm_over(const Team& team, std::size_t n, const F& f) {
  double top = 0;
  for_own<T>(team, n, [&](std::size_t c) {
    const double size = std::fabs(f(c));
    top = size > top ? size : top;
  });
  top = highest_over(team, top);
  if (top == 0) return 0;
  return top * std::sqrt(sum_own<T, double>(team, n, [&](std::size_t c) {
           const double share = f(c) / top;
           return share * share;
         }));
}

}  // namespace detail

/// 1 - cos(s, t) = |s/|s| - t/|t||^2 / 2, in [0, 2]. Where a row of either side is 0 there is no angle: the value is 1 and
/// the gradient 0.
///
/// A loss of rows: weights, masks and signals reach it. It is taken as a squared distance, in double, so that it keeps its
/// digits where rows agree; neither temperatures nor lengths change it. BYOL's 2 - 2 cos is twice it. Columns are
/// summed: there is no mean over them.
/// @throws value_error where a number of either side is not finite. O(samples x columns).
/// PyTorch's `CosineEmbeddingLoss` of pairs that belong together, but for rows of 0.
struct cosine_loss {
  using limbeck_loss = rowwise;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 0;

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const std::size_t n = x.student.size();
    const auto s = [&](std::size_t c) { return static_cast<double>(x.student[c]); };
    const auto t = [&](std::size_t c) { return static_cast<double>(x.teacher[c]); };
    const double of_student = detail::norm_over<T>(x.team, n, s), of_teacher = detail::norm_over<T>(x.team, n, t);
    if (of_student == 0 || of_teacher == 0) return T(1);
    // s/|s| - t/|t| = (s - t)/|s| + t (|t| - |s|)/(|s| |t|), and |t|^2 - |s|^2 = <t - s, t + s>: differences first
    const double largest = of_student > of_teacher ? of_student : of_teacher;
    const double gap = detail::sum_own<T, double>(x.team, n, [&](std::size_t c) {
      return ((t(c) - s(c)) / largest) * ((t(c) + s(c)) / largest);
    });
    const double longer = gap * (largest / of_teacher) * (largest / (of_student + of_teacher));  // (|t| - |s|)/|t|
    const auto apart = [&](std::size_t c) { return (s(c) - t(c)) / of_student + (t(c) / of_student) * longer; };
    const double value = 0.5 * detail::sum_own<T, double>(x.team, n, [&](std::size_t c) { return apart(c) * apart(c); });
    if (!x.gradient.empty()) {
      const double scale = static_cast<double>(x.scale) / of_student;  // times cos s/|s| - t/|t|, cos = 1 - value
      x.each_own([&](std::size_t c) {
        x.gradient[c] += static_cast<T>(scale * (apart(c) - value * (s(c) / of_student)));
      });
    }
    return static_cast<T>(value);
  }
};

/// The distance |s - t| of two rows, not squared. Its gradient is a vector of length 1, and 0 where the rows are equal.
///
/// A loss of rows: weights, masks and signals reach it. Where a row is the vector of one position, its mean over rows is the
/// end-point error of flows. Multiplied by T, which cancels.
/// @throws value_error where a number of either side is not finite. O(samples x columns).
struct row_distance {
  using limbeck_loss = rowwise;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 1;

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const double of_student = static_cast<double>(x.student_temperature);
    const double of_teacher = static_cast<double>(x.teacher_temperature);
    const auto apart = [&](std::size_t c) {
      const double s = static_cast<double>(x.student[c]), t = static_cast<double>(x.teacher[c]);
      return of_student == of_teacher ? (s - t) / of_student : s / of_student - t / of_teacher;
    };
    const double value = detail::norm_over<T>(x.team, x.student.size(), apart);
    if (!x.gradient.empty() && value > 0) {
      const double scale = static_cast<double>(x.scale) / of_student;
      x.each_own([&](std::size_t c) { x.gradient[c] += static_cast<T>(scale * (apart(c) / value)); });
    }
    return static_cast<T>(value);
  }
};

LIMBECK_END_NAMESPACE

#endif
