#ifndef LIMBECK_LOSS_FEATURES_ICKD_HPP
#define LIMBECK_LOSS_FEATURES_ICKD_HPP

/// @file
/// Inter-channel correlation: which channels are active together.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// |N_s - N_t|^2 of a sample, and its gradient; each slot has @p room numbers.
template <class T>
struct channel_correlation_row {
  rows<const T> s, t;
  rows<T> gradient;
  std::size_t channels, student_positions, teacher_positions;
  row_shares shares;
  T scale;
  T* memory;
  std::size_t room;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const std::size_t k = channels;
    T *const a = memory + slot * room, *const b = a + k * k, *const norms = b + k * k;
    correlate(team, t.row(r), teacher_positions, b, norms);
    correlate(team, s.row(r), student_positions, a, norms);
    double value = 0;
    for (std::size_t i = 0; i < k; ++i) {  // b becomes the slope with respect to the student's Gram matrix
      T *const p = a + i * k, *const q = b + i * k;
      for_own<T>(team, k, [&](std::size_t j) { q[j] = p[j] - q[j]; });
      value += static_cast<double>(inner_product(team, q, q, k));
      pull_back_unit(team, p, norms[i], q, k);
    }
    if (gradient.data) {
      team.wait();
      pull_back(team, r, s.row(r), student_positions, b);
    }
    return shares(r) * value;
  }

 private:
  /// The Gram matrix of the channels of @p n positions, by rows normalised, and the norms.
  template <class Team>
  LIMBECK_HOST_DEVICE void correlate(const Team& team, const T* f, std::size_t n, T* gram, T* norms) const {
    const std::size_t k = channels;
    if constexpr (Team::alone) {
      for (std::size_t i = 0; i < k; ++i)
        for (std::size_t j = 0; j <= i; ++j)
          gram[i * k + j] = gram[j * k + i] = inner_product(team, f + i * n, f + j * n, n);
    } else {
      for_own<T>(team, k * k, [&](std::size_t e) {
        const T *const one = f + e / k * n, *const other = f + e % k * n;
        T total(0);
        for (std::size_t c = 0; c < n; ++c) total += one[c] * other[c];
        gram[e] = total;
      });
    }
    team.wait();
    for (std::size_t i = 0; i < k; ++i) {
      T* const row = gram + i * k;
      const T norm = norm_of(team, row, k);
      if (team.rank() == 0) norms[i] = norm;
      if (norm != T(0)) for_own<T>(team, k, [&](std::size_t j) { row[j] /= norm; });
    }
    team.wait();
  }
  /// gradient += share scale (slope + slope^T) f
  template <class Team>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::size_t r, const T* f, std::size_t n, const T* slope) const {
    const std::size_t k = channels;
    const T by = static_cast<T>(shares(r)) * scale;
    const std::ptrdiff_t stride = gradient.class_stride;
    T* const row = gradient.row(r);
    if constexpr (Team::alone) {
      for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t j = 0; j < k; ++j) {
          const T w = by * (slope[i * k + j] + slope[j * k + i]);
          T* const g = row + static_cast<std::ptrdiff_t>(i * n) * stride;
          if (stride == 1) {
            add_scaled(team, g, w, f + j * n, n);
          } else {
            for (std::size_t c = 0; c < n; ++c) g[static_cast<std::ptrdiff_t>(c) * stride] += w * f[j * n + c];
          }
        }
      }
    } else {
      for_own<T>(team, k * n, [&](std::size_t e) {
        const std::size_t i = e / n, c = e % n;
        T total(0);
        for (std::size_t j = 0; j < k; ++j) total += by * (slope[i * k + j] + slope[j * k + i]) * f[j * n + c];
        row[static_cast<std::ptrdiff_t>(e) * stride] += total;
      });
    }
  }
};

}  // namespace detail

/// The mean over samples and channels of |N_s - N_t|^2, where N is the Gram matrix of a sample's channels, F F^T, each
/// row divided by its 2-norm.
///
/// A row is `channels` x positions. Positions may differ between student and teacher, channels may not: project the
/// student, `projected(p, ickd{.channels = 256}, positions)`, where the authors have a 1x1 convolution and a batch
/// normalisation. A channel that is all 0 has a row of 0, through which no gradient passes. O(samples x channels^2 x
/// positions), one matrix of channels^2 for each worker and side.
/// @throws shape_error where channels do not divide a width; value_error where a feature is not finite.
///
/// Liu et al., Exploring Inter-Channel Correlation for Diversity-preserved Knowledge Distillation, 2021,
/// arXiv:2202.03680; normalised as in their `ICKDLoss` (its text was not compared).
struct ickd {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true, into_teacher = true;
  std::size_t channels = 1;  ///< of student and teacher

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t k = channels, n = detail::positions_of(x.student.classes, k, "student");
    const std::size_t m = detail::positions_of(x.teacher.classes, k, "teacher");
    if (x.samples() == 0) return 0;
    const rows<const T> s = detail::contiguous(x, x.student), t = detail::contiguous(x, x.teacher);
    const std::size_t room = 2 * k * k + k;
    T* const memory = x.memory.template take<T>(x.slots(x.samples()) * room).data();
    const double factor = 1 / static_cast<double>(k);
    const T scale = static_cast<T>(2 * factor * static_cast<double>(x.scale));
    return detail::with_teacher(*this, x, detail::finite(x, factor, x.sum_rows_in_slots(k * k, detail::channel_correlation_row<T>{
        s, t, x.gradient, k, n, m, detail::shares_of(x), scale, memory, room})));
  }
};

LIMBECK_END_NAMESPACE

#endif
