#ifndef LIMBECK_LOSS_RELATIONS_NST_HPP
#define LIMBECK_LOSS_RELATIONS_NST_HPP

/// @file
/// Neuron selectivity transfer: the distribution of a sample's channel maps.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <cmath>
#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// |S^T S/c_s - T^T T/c_t|_F^2 of a sample, and its gradient; each slot has @p room numbers.
template <class T>
struct selectivity_row {
  rows<const T> student, teacher;
  rows<T> gradient;
  std::size_t positions, student_channels, teacher_channels;
  row_shares shares;
  T scale;
  T* memory;
  std::size_t room;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const std::size_t k = positions, c = student_channels, d = teacher_channels;
    T *const a = memory + slot * room, *const b = a + k * k;
    T *const s = b + k * k, *const t = s + c * k, *const norms = t + d * k, *const others = norms + c;
    correlate(team, student, r, c, s, norms, a);
    correlate(team, teacher, r, d, t, others, b);
    for_own<T>(team, k * k, [&](std::size_t i) { a[i] -= b[i]; });
    const double share = shares(r);
    if (gradient.data) {
      team.wait();  // a is read by all, and b is used again
      T* const line = b;
      for (std::size_t i = 0; i < c; ++i) {
        T* const f = s + i * k;
        times_symmetric(team, a, f, line);
        pull_back_unit(team, f, norms[i], line, k);
        T* const g = gradient.row(r) + static_cast<std::ptrdiff_t>(i * k) * gradient.class_stride;
        for_own<T>(team, k, [&](std::size_t j) { g[static_cast<std::ptrdiff_t>(j) * gradient.class_stride] += static_cast<T>(share) * line[j]; });
      }
    }
    return share * static_cast<double>(inner_product(team, a, a, k * k));
  }

 private:
  /// out = scale a f, of a symmetric matrix.
  template <class Team>
  LIMBECK_HOST_DEVICE void times_symmetric(const Team& team, const T* a, const T* f, T* out) const {
    const std::size_t k = positions;
    for_own<T>(team, k, [&](std::size_t j) {
      if constexpr (Team::alone) {
        out[j] = scale * inner_product(team, a + j * k, f, k);
      } else {  // along a column, as the neighbours do
        T total(0);
        for (std::size_t l = 0; l < k; ++l) total += a[l * k + j] * f[l];
        out[j] = scale * total;
      }
    });
  }
  /// Unit channels, their norms, and F^T F / channels.
  template <class Team>
  LIMBECK_HOST_DEVICE void correlate(const Team& team, const rows<const T>& side, std::size_t r, std::size_t channels, T* f,
                                     T* norms, T* out) const {
    const std::size_t k = positions;
    const T* const row = side.row(r);
    if constexpr (Team::alone)
      for (std::size_t j = 0; j < k * k; ++j) out[j] = T(0);
    T* channel = f;
    for (std::size_t i = 0; i < channels; ++i, channel += k) {
      for_own<T>(team, k, [&](std::size_t j) { channel[j] = row[static_cast<std::ptrdiff_t>(i * k + j) * side.class_stride]; });
      const T norm = norm_of(team, channel, k);
      if (team.rank() == 0) norms[i] = norm;
      if (norm == T(0)) continue;
      for_own<T>(team, k, [&](std::size_t j) { channel[j] /= norm; });
      if constexpr (Team::alone)
        for (std::size_t j = 0; j < k; ++j)
          add_scaled(team, out + j * k, channel[j] / static_cast<T>(channels), channel, k);
    }
    if constexpr (!Team::alone) {
      team.wait();
      for_own<T>(team, k * k, [&](std::size_t e) {
        T total(0);
        for (std::size_t i = 0; i < channels; ++i) total += f[i * k + e / k] / static_cast<T>(channels) * f[i * k + e % k];
        out[e] = total;
      });
    }
  }
};

}  // namespace detail

/// NST with the quadratic kernel: the mean over samples of the squared maximum mean discrepancy of student's and
/// teacher's channels, k(f, g) = (f . g)^2, each channel divided by its 2-norm over the positions.
///
/// A row is channels x positions, all positions of a channel side by side; student and teacher may have different
/// channels, but need the same `positions` (resize the maps before). mean k(s, s') + mean k(t, t') - 2 mean k(s, t)
/// is taken as |S^T S/c_s - T^T T/c_t|_F^2, the same number, in which nothing cancels. A channel that is all 0 stays
/// 0 and has no gradient. O(samples x channels x positions^2), two matrices of positions^2 for each worker.
/// @throws shape_error where positions do not divide a width; value_error where a feature is not finite.
///
/// Huang and Wang, Like What You Like: Knowledge Distill via Neuron Selectivity Transfer, 2017, arXiv:1707.01219,
/// with d = 2, c = 0; the usual `NSTLoss` is the same number.
struct nst {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true, into_teacher = true;
  std::size_t positions = 1;  ///< of a channel: height x width

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t k = positions, c = channels(x.student.classes, "student"),
                      d = channels(x.teacher.classes, "teacher");
    if (x.samples() == 0 || c == 0 || d == 0) return 0;
    const std::size_t room = 2 * k * k + (c + d) * k + c + d;
    T* const memory = x.memory.template take<T>(x.slots(x.samples()) * room).data();
    const T scale = static_cast<T>(4 * static_cast<double>(x.scale) / static_cast<double>(c));
    return detail::with_teacher(*this, x, detail::finite(x, 1, x.sum_rows_in_slots(k * k, detail::selectivity_row<T>{
        x.student, x.teacher, x.gradient, k, c, d, detail::shares_of(x), scale, memory, room})));
  }

 private:
  std::size_t channels(std::size_t columns, const char* argument) const {
    if (positions == 0 || columns % positions != 0)
      raise<shape_error>(std::string("limbeck: ") + argument + " has " + std::to_string(columns) +
                         " columns, which are no whole number of channels of " + std::to_string(positions) +
                         " positions");
    return columns / positions;
  }
};

LIMBECK_END_NAMESPACE

#endif
