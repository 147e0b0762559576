#ifndef LIMBECK_LOSS_FEATURES_ATTENTION_TRANSFER_HPP
#define LIMBECK_LOSS_FEATURES_ATTENTION_TRANSFER_HPP

/// @file
/// Attention transfer: where in the picture student and teacher are active.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

/// The mean over samples and positions of (a_s - a_t)^2, a = m / |m|_2 and m_j = the sum over channels of |x_cj|^p at
/// position j.
///
/// A row is channels x positions, all positions of a channel side by side. Student and teacher may have different
/// channels; they need the same positions. The paper takes the norm and the sum where its code (`at_loss`),
/// which is what is computed here and what the usual weights (beta = 1000) are for, takes the square and the mean. A
/// sample that is all 0 has the map 0, and no gradient. Derivative of |x|^p at 0: 0. O(samples x width).
/// @throws shape_error where channels do not divide the width, or the positions differ; value_error where a feature is
///   not finite, or p < 1.
///
/// Zagoruyko and Komodakis, Paying More Attention to Attention, 2017, arXiv:1612.03928.
struct attention_transfer {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true;
  std::size_t student_channels = 1, teacher_channels = 1;  ///< a row is that many maps, side by side
  double power = 2;                                        ///< p, at least 1

  template <class T>
  double operator()(const batch<T>& x) const {
    const std::size_t n = detail::positions_of(x.student.classes, student_channels, "student");
    const std::size_t m = detail::positions_of(x.teacher.classes, teacher_channels, "teacher");
    if (n != m)
      raise<shape_error>("limbeck: student has " + std::to_string(n) + " positions and teacher " + std::to_string(m) +
                         "; pool one of them before attention_transfer");
    if (!(power >= 1))
      raise<value_error>("limbeck: attention_transfer.power is " + detail::show(power) + ", expected 1 or more");
    if (x.samples() * n == 0) return 0;
    const rows<const T> s = detail::contiguous(x, x.student), t = detail::contiguous(x, x.teacher);
    const std::span<double> maps = x.memory.template take<double>(2 * x.on.workers() * n);
    const double factor = 1 / static_cast<double>(x.samples() * n);
    const double total = detail::sum_rows(x, [&](std::size_t r, std::size_t worker) {
      const std::span<double> a = maps.subspan(2 * worker * n, n), b = maps.subspan((2 * worker + 1) * n, n);
      const double norm = map_of(s.row(r), student_channels, a);
      map_of(t.row(r), teacher_channels, b);
      double value = 0, along = 0;  // along: the part of the slope that normalising takes away
      for (std::size_t j = 0; j < n; ++j) {
        const double d = a[j] - b[j];
        value += d * d;
        along += a[j] * d;
      }
      if (x.wants_gradient() && norm > 0) {
        const double scale = 2 * factor * power * static_cast<double>(x.scale) / norm;
        for (std::size_t j = 0; j < n; ++j) b[j] = scale * (a[j] - b[j] - along * a[j]);
        const auto stride = x.gradient.class_stride;
        for (std::size_t c = 0; c < student_channels; ++c) {
          const T* const row = s.row(r) + c * n;
          T* const g = x.gradient.row(r) + static_cast<std::ptrdiff_t>(c * n) * stride;
          const auto add = [&](std::size_t j, double slope) {
            g[static_cast<std::ptrdiff_t>(j) * stride] += static_cast<T>(b[j] * slope);
          };
          if (power == 2) {
            for (std::size_t j = 0; j < n; ++j) add(j, static_cast<double>(row[j]));
          } else {
            for (std::size_t j = 0; j < n; ++j) add(j, root(static_cast<double>(row[j]), power - 1));
          }
        }
      }
      return value;
    });
    return detail::finite(x, factor * total);
  }

 private:
  /// sign(v) |v|^p
  static double root(double v, double p) { return v == 0 ? 0 : std::copysign(std::pow(std::fabs(v), p), v); }
  /// The normalised map; returns the norm that it was divided by.
  template <class T>
  double map_of(const T* row, std::size_t channels, std::span<double> map) const {
    const std::size_t n = map.size();
    for (double& v : map) v = 0;
    for (std::size_t c = 0; c < channels; ++c, row += n) {
      if (power == 2) {
        for (std::size_t j = 0; j < n; ++j) map[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
      } else {
        for (std::size_t j = 0; j < n; ++j) map[j] += std::pow(std::fabs(static_cast<double>(row[j])), power);
      }
    }
    const double norm = std::sqrt(detail::inner_product(map.data(), map.data(), n));
    if (norm == 0) return 0;
    for (double& v : map) v /= norm;
    return norm;
  }
};

LIMBECK_END_NAMESPACE

#endif
