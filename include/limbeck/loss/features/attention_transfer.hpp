#ifndef LIMBECK_LOSS_FEATURES_ATTENTION_TRANSFER_HPP
#define LIMBECK_LOSS_FEATURES_ATTENTION_TRANSFER_HPP

/// @file
/// Attention transfer: where in the picture student and teacher are active.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The squared distance of the maps of a row, and its gradient; each slot has memory for two maps.
template <class T>
struct attention_row {
  rows<const T> s, t;
  rows<T> gradient;
  std::size_t student_channels, teacher_channels, positions;
  row_shares shares;
  double power, scale;
  double* maps;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const std::size_t n = positions;
    double *const a = maps + 2 * slot * n, *const b = a + n;
    const double norm = map_of(team, s.row(r), student_channels, a);
    map_of(team, t.row(r), teacher_channels, b);
    team_array<double, 2> sums{};  // the value; the part of the slope that normalising takes away
    for_own<double>(team, n, [&](std::size_t j) {
      const double d = a[j] - b[j];
      sums.v[0] += d * d;
      sums.v[1] += a[j] * d;
    });
    sums = team.sum(sums);
    if (gradient.data && norm > 0) {
      const double by_norm = shares(r) * scale / norm, along = sums.v[1];
      for_own<double>(team, n, [&](std::size_t j) { b[j] = by_norm * (a[j] - b[j] - along * a[j]); });
      const auto stride = gradient.class_stride;
      for (std::size_t c = 0; c < student_channels; ++c) {
        const T* const row = s.row(r) + c * n;
        T* const g = gradient.row(r) + static_cast<std::ptrdiff_t>(c * n) * stride;
        const auto add = [&](std::size_t j, double slope) {
          g[static_cast<std::ptrdiff_t>(j) * stride] += static_cast<T>(b[j] * slope);
        };
        if (power == 2) {
          for_own<double>(team, n, [&](std::size_t j) { add(j, static_cast<double>(row[j])); });
        } else {
          for_own<double>(team, n, [&](std::size_t j) { add(j, root(static_cast<double>(row[j]), power - 1)); });
        }
      }
    }
    return shares(r) * sums.v[0];
  }

 private:
  /// sign(v) |v|^p
  LIMBECK_HOST_DEVICE static double root(double v, double p) {
    return v == 0 ? 0 : std::copysign(std::pow(std::fabs(v), p), v);
  }
  /// The normalised map; returns the norm that it was divided by.
  template <class Team>
  LIMBECK_HOST_DEVICE double map_of(const Team& team, const T* row, std::size_t channels, double* map) const {
    const std::size_t n = positions;
    for_own<double>(team, n, [&](std::size_t j) { map[j] = 0; });
    for (std::size_t c = 0; c < channels; ++c, row += n) {
      if (power == 2) {
        for_own<double>(team, n, [&](std::size_t j) { map[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]); });
      } else {
        for_own<double>(team, n, [&](std::size_t j) { map[j] += std::pow(std::fabs(static_cast<double>(row[j])), power); });
      }
    }
    const double norm = std::sqrt(inner_product(team, map, map, n));
    if (norm == 0) return 0;
    for_own<double>(team, n, [&](std::size_t j) { map[j] /= norm; });
    return norm;
  }
};

}  // namespace detail

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
  static constexpr bool by_row = true, any_width = true, into_teacher = true;
  std::size_t student_channels = 1, teacher_channels = 1;  ///< a row is that many maps, side by side
  double power = 2;                                        ///< p, at least 1

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = detail::positions_of(x.student.classes, student_channels, "student");
    const std::size_t m = detail::positions_of(x.teacher.classes, teacher_channels, "teacher");
    if (n != m)
      raise<shape_error>("limbeck: student has " + std::to_string(n) + " positions and teacher " + std::to_string(m) +
                         "; pool one of them before attention_transfer");
    if (!(power >= 1))
      raise<value_error>("limbeck: attention_transfer.power is " + detail::show(power) + ", expected 1 or more");
    if (x.samples() * n == 0) return 0;
    const rows<const T> s = detail::contiguous(x, x.student), t = detail::contiguous(x, x.teacher);
    double* const maps = x.memory.template take<double>(2 * x.slots(x.samples()) * n).data();
    const double factor = 1 / static_cast<double>(n);
    const double scale = 2 * factor * power * static_cast<double>(x.scale);
    const attention_transfer turned{teacher_channels, student_channels, power};
    return detail::with_teacher(turned, x, detail::finite(x, factor, x.sum_rows_in_slots(x.student.classes, detail::attention_row<T>{
        s, t, x.gradient, student_channels, teacher_channels, n, detail::shares_of(x), power, scale, maps})));
  }
};

LIMBECK_END_NAMESPACE

#endif
