#ifndef LIMBECK_LOSS_RELATIONS_NST_HPP
#define LIMBECK_LOSS_RELATIONS_NST_HPP

/// @file
/// Neuron selectivity transfer: the distribution of a sample's channel maps.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

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
  static constexpr bool any_width = true;
  std::size_t positions = 1;  ///< of a channel: height x width

  template <class T>
  double operator()(const batch<T>& x) const {
    const std::size_t k = positions, c = channels(x.student.classes, "student"),
                      d = channels(x.teacher.classes, "teacher");
    if (x.samples() == 0 || c == 0 || d == 0) return 0;
    const std::size_t room = 2 * k * k + (c + d) * k + c + d;
    const std::span<T> memory = x.memory.template take<T>(x.on.workers() * room);
    const double factor = 1 / static_cast<double>(x.samples());
    const double total = detail::sum_rows(x, [&](std::size_t r, std::size_t worker) {
      T *const a = memory.data() + worker * room, *const b = a + k * k;
      T *const s = b + k * k, *const t = s + c * k, *const norms = t + d * k, *const others = norms + c;
      correlate(x.student, r, c, s, norms, a);
      correlate(x.teacher, r, d, t, others, b);
      for (std::size_t i = 0; i < k * k; ++i) a[i] -= b[i];
      if (x.wants_gradient()) {
        const T scale = static_cast<T>(4 * factor * static_cast<double>(x.scale) / static_cast<double>(c));
        T* const line = b;
        for (std::size_t i = 0; i < c; ++i) {
          T* const f = s + i * k;
          for (std::size_t j = 0; j < k; ++j) line[j] = scale * detail::inner_product(a + j * k, f, k);
          detail::pull_back_unit(f, norms[i], line, k);
          T* const g = x.gradient.row(r) + static_cast<std::ptrdiff_t>(i * k) * x.gradient.class_stride;
          for (std::size_t j = 0; j < k; ++j) g[static_cast<std::ptrdiff_t>(j) * x.gradient.class_stride] += line[j];
        }
      }
      return static_cast<double>(detail::inner_product(a, a, k * k));
    });
    return detail::finite(x, factor * total);
  }

 private:
  std::size_t channels(std::size_t columns, const char* argument) const {
    if (positions == 0 || columns % positions != 0)
      raise<shape_error>(std::string("limbeck: ") + argument + " has " + std::to_string(columns) +
                         " columns, which are no whole number of channels of " + std::to_string(positions) +
                         " positions");
    return columns / positions;
  }
  /// Unit channels, their norms, and F^T F / channels.
  template <class T>
  void correlate(const rows<const T>& side, std::size_t r, std::size_t channels, T* f, T* norms, T* out) const {
    const std::size_t k = positions;
    const T* const row = side.row(r);
    std::fill(out, out + k * k, T(0));
    for (std::size_t i = 0; i < channels; ++i, f += k) {
      for (std::size_t j = 0; j < k; ++j) f[j] = row[static_cast<std::ptrdiff_t>(i * k + j) * side.class_stride];
      norms[i] = std::sqrt(detail::inner_product(f, f, k));
      if (norms[i] == T(0)) continue;
      for (std::size_t j = 0; j < k; ++j) f[j] /= norms[i];
      for (std::size_t j = 0; j < k; ++j) detail::add_scaled(out + j * k, f[j] / static_cast<T>(channels), f, k);
    }
  }
};

LIMBECK_END_NAMESPACE

#endif
