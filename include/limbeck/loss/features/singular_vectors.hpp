#ifndef LIMBECK_LOSS_FEATURES_SINGULAR_VECTORS_HPP
#define LIMBECK_LOSS_FEATURES_SINGULAR_VECTORS_HPP

/// @file
/// Singular vectors of the map of a sample, over its channels, by one-sided Jacobi rotations; and the way back through them.

#include <limbeck/loss/support.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Of a matrix of positions x channels: singular values, the largest first, and the right singular vectors. Each vector has the sign
/// that makes its sum positive.
class singular_vectors {
 public:
  std::size_t channels, positions;

  singular_vectors(std::size_t c, std::size_t p, double* memory)
      : channels(c), positions(p), values_(memory), vectors_(values_ + count()), work_(vectors_ + count() * c),
        rotation_(work_ + c * p) {}
  /// How many there are.
  std::size_t count() const { return (std::min)(channels, positions); }
  /// How much memory they need, some of it for work.
  static std::size_t room(std::size_t c, std::size_t p) {
    const std::size_t n = (std::min)(c, p);
    return n + n * c + c * p + n * n;
  }
  double value(std::size_t i) const { return values_[i]; }
  const double* vector(std::size_t i) const { return vectors_ + i * channels; }

  /// Of at(channel, position). The shorter side is rotated until its rows are orthogonal.
  template <class F>
  void decompose(const F& at) {
    const std::size_t n = count(), m = (std::max)(channels, positions);
    const bool by_channel = channels <= positions;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < m; ++j) work_[i * m + j] = by_channel ? at(i, j) : at(j, i);
    for (std::size_t i = 0; i < n * n; ++i) rotation_[i] = i % (n + 1) == 0 ? 1 : 0;
    for (int sweep = 0; sweep < 40; ++sweep) {
      bool turned = false;
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = i + 1; j < n; ++j) turned = make_orthogonal(i, j, m, n) || turned;
      if (!turned) break;
    }
    for (std::size_t i = 0; i < n; ++i) values_[i] = std::sqrt(inner_product(work_ + i * m, work_ + i * m, m));
    for (std::size_t i = 0; i < n; ++i) {  // the largest that is left
      const std::size_t next = static_cast<std::size_t>(std::max_element(values_ + i, values_ + n) - values_);
      if (next != i) {
        std::swap(values_[i], values_[next]);
        std::swap_ranges(work_ + i * m, work_ + (i + 1) * m, work_ + next * m);
        std::swap_ranges(rotation_ + i * n, rotation_ + (i + 1) * n, rotation_ + next * n);
      }
      double* const v = vectors_ + i * channels;
      double total = 0;
      for (std::size_t c = 0; c < channels; ++c) {
        v[c] = by_channel ? rotation_[i * n + c] : values_[i] > 0 ? work_[i * m + c] / values_[i] : 0;
        total += v[c];
      }
      for (std::size_t c = 0; total < 0 && c < channels; ++c) v[c] = -v[c];
    }
  }
  /// Vector j moves by y . dM v_j with the matrix M = X^T X, where @p slope is the derivative by that vector; no y where another has
  /// the same value.
  void pull_back(std::size_t j, const double* slope, double* y) const {
    const double own = values_[j] * values_[j], least = 1e-12 * values_[0] * values_[0];
    for (std::size_t c = 0; c < channels; ++c) y[c] = own > least ? slope[c] / own : 0;  // as if all others were 0
    for (std::size_t i = 0; i < count(); ++i) {
      const double* const v = vector(i);
      const double gap = own - values_[i] * values_[i], along = inner_product(v, slope, channels);
      const double by = (i != j && std::fabs(gap) > least ? along / gap : 0) - (own > least ? along / own : 0);
      for (std::size_t c = 0; c < channels; ++c) y[c] += by * v[c];
    }
  }

 private:
  /// Turns rows i and j into orthogonal ones, unless they are.
  bool make_orthogonal(std::size_t i, std::size_t j, std::size_t m, std::size_t n) {
    double *const a = work_ + i * m, *const b = work_ + j * m;
    const double aa = inner_product(a, a, m), bb = inner_product(b, b, m), ab = inner_product(a, b, m);
    if (!(std::fabs(ab) > 1e-15 * std::sqrt(aa * bb))) return false;
    const double zeta = (bb - aa) / (2 * ab), t = std::copysign(1 / (std::fabs(zeta) + std::sqrt(1 + zeta * zeta)), zeta);
    const double cosine = 1 / std::sqrt(1 + t * t), sine = cosine * t;
    const auto turn = [&](double* p, double* q, std::size_t size) {
      for (std::size_t l = 0; l < size; ++l) {
        const double x = p[l], z = q[l];
        p[l] = cosine * x - sine * z;
        q[l] = sine * x + cosine * z;
      }
    };
    turn(a, b, m);
    turn(rotation_ + i * n, rotation_ + j * n, n);
    return true;
  }

  double *values_, *vectors_, *work_, *rotation_;
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
