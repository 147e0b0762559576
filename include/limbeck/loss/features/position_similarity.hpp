#ifndef LIMBECK_LOSS_FEATURES_POSITION_SIMILARITY_HPP
#define LIMBECK_LOSS_FEATURES_POSITION_SIMILARITY_HPP

/// @file
/// Which positions of a picture are alike: cosines of all pairs.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The sum over pairs of positions of (cos_s - cos_t)^2 of a sample, and its gradient; each slot has @p room numbers.
template <class T>
struct position_similarity_row {
  rows<const T> s, t;
  rows<T> gradient;
  std::size_t student_channels, teacher_channels, positions;
  row_shares shares;
  T scale;
  T* memory;
  std::size_t room;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const std::size_t n = positions, channels = student_channels;
    T *const a = memory + slot * room, *const b = a + n * n, *const u = b + n * n, *const v = u + channels * n;
    T* const norms = v + teacher_channels * n;
    cosines(team, t, r, teacher_channels, v, norms, b);
    cosines(team, s, r, channels, u, norms, a);
    for_own<T>(team, n * n, [&](std::size_t e) { a[e] -= b[e]; });
    const double share = shares(r) / static_cast<double>(n * n), value = share * static_cast<double>(inner_product(team, a, a, n * n));
    team.wait();
    if (gradient.data) {
      const T by = static_cast<T>(4 * share) * scale;
      T *const slope = norms + n, *const along = b;  // by the unit vectors; of each position, slope . u
      for_own<T>(team, n, [&](std::size_t p) { along[p] = T(0); });
      for (std::size_t c = 0; c < channels; ++c) {
        times_symmetric(team, a, u + c * n, slope + c * n);
        for_own<T>(team, n, [&](std::size_t p) { along[p] += slope[c * n + p] * u[c * n + p]; });
      }
      for (std::size_t c = 0; c < channels; ++c) {
        for_own<T>(team, n, [&](std::size_t p) {
          if (norms[p] > T(0)) gradient(r, c * n + p) += by * (slope[c * n + p] - along[p] * u[c * n + p]) / norms[p];
        });
      }
      team.wait();  // before the next row of the slot
    }
    return value;
  }

 private:
  /// Unit vectors of the positions, their norms, and their inner products.
  template <class Team>
  LIMBECK_HOST_DEVICE void cosines(const Team& team, const rows<const T>& side, std::size_t r, std::size_t channels, T* f, T* norms,
                                   T* out) const {
    const std::size_t n = positions;
    for_own<T>(team, n, [&](std::size_t p) {
      T square(0);
      for (std::size_t c = 0; c < channels; ++c) square += side(r, c * n + p) * side(r, c * n + p);
      const T norm = norms[p] = norm_by(single_team{}, square, channels, [&](std::size_t c) { return side(r, c * n + p); });
      for (std::size_t c = 0; c < channels; ++c) f[c * n + p] = norm == T(0) ? T(0) : side(r, c * n + p) / norm;
    });
    team.wait();
    if constexpr (Team::alone) {
      for (std::size_t e = 0; e < n * n; ++e) out[e] = T(0);
      for (std::size_t c = 0; c < channels; ++c, f += n)
        for (std::size_t p = 0; p < n; ++p) add_scaled(team, out + p * n, f[p], f, n);
    } else {
      for_own<T>(team, n * n, [&](std::size_t e) {
        T total(0);
        for (std::size_t c = 0; c < channels; ++c) total += f[c * n + e / n] * f[c * n + e % n];
        out[e] = total;
      });
    }
  }
  /// out = a f, of a symmetric matrix.
  template <class Team>
  LIMBECK_HOST_DEVICE void times_symmetric(const Team& team, const T* a, const T* f, T* out) const {
    const std::size_t n = positions;
    for_own<T>(team, n, [&](std::size_t p) {
      if constexpr (Team::alone) {
        out[p] = inner_product(team, a + p * n, f, n);
      } else {  // along a column, as the neighbours do
        T total(0);
        for (std::size_t q = 0; q < n; ++q) total += a[q * n + p] * f[q];
        out[p] = total;
      }
    });
  }
};

}  // namespace detail

/// The mean over samples and pairs of positions of (cos(s_p, s_q) - cos(t_p, t_q))^2, within each picture; s_p are the channels
/// at position p.
///
/// A row is channels x positions, all positions of a channel side by side. Channels may differ between student and teacher, positions
/// may not. Pool large maps first: O(samples x channels x positions^2), two matrices of positions^2 for each worker. A
/// position that is all 0 has the cosine 0 with each, and no gradient. The authors of both codes hold the norms constant in
/// the way back; here the gradient is that of the value.
/// @throws shape_error where channels do not divide a width, or the positions differ; value_error where a feature is not finite.
///
/// Liu, Chen, Liu, Qin, Luo and Wang, Structured Knowledge Distillation for Semantic Segmentation, 2019, arXiv:1903.04197
/// (pair-wise), and the region-level part of Qin et al., Multi-Granularity Distillation Scheme Towards Lightweight Semi-Supervised
/// Semantic Segmentation, 2022, arXiv:2208.10169, of maps pooled to 7 x 7 (weight 100).
struct position_similarity {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true, into_teacher = true;
  std::size_t student_channels = 1, teacher_channels = 1;  ///< a row is that many maps, side by side

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = detail::positions_of(x.student.classes, student_channels, "student");
    const std::size_t m = detail::positions_of(x.teacher.classes, teacher_channels, "teacher");
    if (n != m)
      raise<shape_error>("limbeck: student has " + std::to_string(n) + " positions and teacher " + std::to_string(m) +
                         "; pool one of them before position_similarity");
    if (x.samples() * n == 0) return 0;
    const std::size_t room = 2 * n * n + (2 * student_channels + teacher_channels + 1) * n;
    T* const memory = x.memory.template take<T>(x.slots(x.samples()) * room).data();
    const position_similarity turned{teacher_channels, student_channels};
    return detail::with_teacher(turned, x, detail::finite(x, 1, x.sum_rows_in_slots(n * n, detail::position_similarity_row<T>{
        x.student, x.teacher, x.gradient, student_channels, teacher_channels, n, detail::shares_of(x), x.scale, memory, room})));
  }
};

LIMBECK_END_NAMESPACE

#endif
