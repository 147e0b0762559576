#ifndef LIMBECK_LOSS_RELATIONS_CORRELATION_CONGRUENCE_HPP
#define LIMBECK_LOSS_RELATIONS_CORRELATION_CONGRUENCE_HPP

/// @file
/// Losses that compare cosines of pairs of samples, one pair at a time.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/relations/gram.hpp>

#include <cmath>
#include <cstddef>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The sum of f(cos_s, cos_t, slope) over a row; the teacher's cosines become the slopes.
template <class T, class F>
struct compare_cosine_row {
  rows<T> s, t;
  F f;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    return sum_own<T, double>(team, s.classes, [&](std::size_t j) {
      double slope = 0;
      const double value = f(static_cast<double>(s(i, j)), static_cast<double>(t(i, j)), slope);
      t(i, j) = static_cast<T>(slope);
      return value;
    });
  }
};
/// The mean over all ordered pairs of f(cos_s, cos_t, slope), and its gradient.
template <class T, class Memory, class F>
batch_number<Memory> compare_cosines(const batch<T, Memory>& x, const F& f) {
  const std::size_t n = x.samples();
  const relations<T> s = relate(x, x.student, points::unit), t = relate(x, x.teacher, points::unit);
  const double factor = 1 / (static_cast<double>(n) * static_cast<double>(n));
  const double* const total = x.sum_rows(n, compare_cosine_row<T, F>{s.gram, t.gram, f});
  if (x.wants_gradient()) pull_back_relations(x, s, t.gram, factor);
  return finite(x, factor, total);
}

/// The squared difference of two Gaussian kernels by their Taylor series.
struct kernel_difference {
  double gamma;
  std::size_t order;
  LIMBECK_HOST_DEVICE double operator()(double a, double b, double& slope) const {
    double by_a = 0;
    const double d = kernel(a, by_a) - kernel(b, slope);
    slope = 2 * d * by_a;
    return d * d;
  }
  /// k and its derivative by the cosine.
  LIMBECK_HOST_DEVICE double kernel(double cosine, double& derivative) const {
    double power = std::exp(-2 * gamma), total = power;
    derivative = 0;
    for (std::size_t p = 1; p <= order; ++p) {
      derivative += 2 * gamma * power;
      power *= 2 * gamma * cosine / static_cast<double>(p);
      total += power;
    }
    return total;
  }
};
/// What a difference has beyond a margin.
struct difference_beyond {
  double margin;
  LIMBECK_HOST_DEVICE double operator()(double a, double b, double& slope) const {
    const double d = a - b, over = std::fabs(d) - margin;
    if (over <= 0) return 0.0;  // not NaN, which shall be found
    slope = d > 0 ? 1 : -1;
    return over;
  }
};

}  // namespace detail

/// Correlation congruence: |C_s - C_t|_F^2 / n^2, C_ij = k(f_i, f_j) with the Gaussian kernel, by its Taylor series
/// on the unit sphere: k = exp(-2 gamma) sum over p from 0 to `order` of (2 gamma f_i . f_j)^p / p!, f divided by its
/// 2-norm.
///
/// Student and teacher may differ in width. A sample that is all 0 stays 0 and has no gradient. Costs as
/// `similarity_preserving`.
/// @throws value_error where a feature is not finite, or gamma is not.
///
/// Peng et al., Correlation Congruence for Knowledge Distillation, 2019, arXiv:1904.01802. RepDistiller's
/// `Correlation` is something else (products of the absolute differences of neighbouring samples).
struct correlation_congruence {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  double gamma = 0.4;     ///< of exp(-gamma |x - y|^2), any finite number
  std::size_t order = 2;  ///< the last power of the series

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (gamma - gamma != 0)
      raise<value_error>("limbeck: correlation_congruence.gamma is " + detail::show(gamma) +
                         ", expected a finite number");
    if (x.samples() == 0) return 0;
    return detail::with_teacher(*this, x, detail::compare_cosines(x, detail::kernel_difference{gamma, order}));
  }
};

/// Marginal distance-matrix similarity: the mean over pairs of max(0, |cos_s - cos_t| - margin), cos of the rows'
/// features.
///
/// Rows are the positions of one latent picture there; any rows will do. Derivative 0 at the kink. Costs as
/// `similarity_preserving`.
/// @throws value_error where a feature is not finite.
///
/// Yao et al., Reconstruction vs. Generation (VA-VAE), 2025, arXiv:2501.01423: L_mdms, m2 = 0.25.
struct marginal_distance_matrix {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  double margin = 0.25;  ///< differences up to here are free

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (x.samples() == 0) return 0;
    return detail::with_teacher(*this, x, detail::compare_cosines(x, detail::difference_beyond{margin}));
  }
};

LIMBECK_END_NAMESPACE

#endif
