#ifndef LIMBECK_LOSS_FEATURES_ICKD_HPP
#define LIMBECK_LOSS_FEATURES_ICKD_HPP

/// @file
/// Inter-channel correlation: which channels are active together.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

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
  static constexpr bool any_width = true;
  std::size_t channels = 1;  ///< of student and teacher

  template <class T>
  double operator()(const batch<T>& x) const {
    const std::size_t k = channels, n = detail::positions_of(x.student.classes, k, "student");
    const std::size_t m = detail::positions_of(x.teacher.classes, k, "teacher");
    if (x.samples() == 0) return 0;
    const rows<const T> s = detail::contiguous(x, x.student), t = detail::contiguous(x, x.teacher);
    const std::span<T> memory = x.memory.template take<T>(x.on.workers() * (2 * k * k + k));
    const double factor = 1 / static_cast<double>(x.samples() * k);
    const double total = detail::sum_rows(x, [&](std::size_t r, std::size_t worker) {
      T* const a = memory.data() + worker * (2 * k * k + k);
      T *const b = a + k * k, *const norms = b + k * k;
      correlate(t.row(r), m, b, norms);
      correlate(s.row(r), n, a, norms);
      double value = 0;
      for (std::size_t i = 0; i < k; ++i) {  // b becomes the slope with respect to the student's Gram matrix
        T *const p = a + i * k, *const q = b + i * k;
        for (std::size_t j = 0; j < k; ++j) q[j] = p[j] - q[j];
        value += static_cast<double>(detail::inner_product(q, q, k));
        const T along = detail::inner_product(p, q, k), inverse = norms[i] > T(0) ? T(1) / norms[i] : T(0);
        for (std::size_t j = 0; j < k; ++j) q[j] = (q[j] - along * p[j]) * inverse;
      }
      if (x.wants_gradient())
        pull_back(x, r, s.row(r), n, b, static_cast<T>(2 * factor * static_cast<double>(x.scale)));
      return value;
    });
    return detail::finite(x, factor * total);
  }

 private:
  /// The Gram matrix of @p k channels of @p n positions, by rows normalised, and the norms.
  template <class T>
  void correlate(const T* f, std::size_t n, T* gram, T* norms) const {
    const std::size_t k = channels;
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t j = 0; j <= i; ++j)
        gram[i * k + j] = gram[j * k + i] = detail::inner_product(f + i * n, f + j * n, n);
    for (std::size_t i = 0; i < k; ++i) {
      norms[i] = std::sqrt(detail::inner_product(gram + i * k, gram + i * k, k));
      if (norms[i] == T(0)) continue;
      for (std::size_t j = 0; j < k; ++j) gram[i * k + j] /= norms[i];
    }
  }
  /// gradient += scale (slope + slope^T) f
  template <class T>
  void pull_back(const batch<T>& x, std::size_t r, const T* f, std::size_t n, const T* slope, T scale) const {
    const std::size_t k = channels;
    for (std::size_t i = 0; i < k; ++i) {
      for (std::size_t j = 0; j < k; ++j) {
        const T w = scale * (slope[i * k + j] + slope[j * k + i]);
        T* const g = x.gradient.row(r) + static_cast<std::ptrdiff_t>(i * n) * x.gradient.class_stride;
        if (x.gradient.class_stride == 1) {
          detail::add_scaled(g, w, f + j * n, n);
        } else {
          for (std::size_t c = 0; c < n; ++c)
            g[static_cast<std::ptrdiff_t>(c) * x.gradient.class_stride] += w * f[j * n + c];
        }
      }
    }
  }
};

LIMBECK_END_NAMESPACE

#endif
