#ifndef LIMBECK_AVERAGING_POWER_EMA_HPP
#define LIMBECK_AVERAGING_POWER_EMA_HPP

/// @file
/// The power-function average of EDM2, and averages of other widths reconstructed afterwards from stored ones.
///
/// Karras, Aittala, Lehtinen, Hellsten, Aila and Laine, Analyzing and Improving the Training Dynamics of Diffusion
/// Models, 2024, arXiv:2312.02696; formulas as in the authors' `training/phema.py`.

#include <limbeck/core/errors.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The relative standard deviation of the profile t^gamma on [0, 1]: sqrt((gamma + 1) / ((gamma + 2)^2 (gamma + 3))).
/// @throws value_error where gamma is negative.
inline double relative_width(double gamma) {
  if (!(gamma >= 0))
    raise<value_error>("limbeck: gamma is " + detail::show(gamma) + ", expected a number that is not negative");
  return std::sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2);
}

/// Its inverse: the gamma >= 0 of a relative standard deviation in (0, 12^-1/2].
/// @throws value_error outside it. 12^-1/2 = 0.2887 is the plain mean, gamma = 0.
inline double power_of_width(double sigma_rel) {
  if (!(sigma_rel > 0 && sigma_rel * sigma_rel * 12 <= 1 + 1e-12))
    raise<value_error>("limbeck: sigma_rel is " + detail::show(sigma_rel) + ", expected a number in (0, 0.288675]");
  // gamma^3 + 7 gamma^2 + (16 - w) gamma + 12 - w = 0 has one root that is not negative; Newton from above it is
  // monotone
  const double w = 1 / (sigma_rel * sigma_rel);
  double gamma = std::sqrt(w);
  for (int i = 0; i < 100; ++i) {
    const double value = ((gamma + 7) * gamma + (16 - w)) * gamma + (12 - w);
    const double slope = (3 * gamma + 14) * gamma + (16 - w);
    const double next = gamma - value / slope;
    if (!(next < gamma)) break;
    gamma = next;
  }
  return gamma > 0 ? gamma : 0;
}

/// A decay of (1 - 1/n)^(gamma + 1) at update n: the teacher is the mean of all students so far, weighted by t^gamma.
/// Its width is always the same part of the run, @p sigma_rel of it, and its start has no weight.
struct power_ema {
  using limbeck_decay = void;
  double sigma_rel = 0.1;  ///< the profile's standard deviation over the run's length, in (0, 0.2887]
  /// @throws value_error where sigma_rel is out of range.
  double operator()(std::uint64_t n) const {
    return std::pow(1 - 1 / static_cast<double>(n), power_of_width(sigma_rel) + 1);
  }
};

/// One average: after @p updates updates, of width @p sigma_rel.
struct power_profile {
  double updates = 0;      ///< positive
  double sigma_rel = 0.1;  ///< in (0, 0.2887]
};

/// Weights x, of sum 1, for which sum_i x_i stored_i comes closest to @p wanted: profiles that one run has stored (two
/// widths, a few dozen times each, are enough) and one that it has not tracked. Pass them to `weighted_sum`.
///
/// Least squares over the continuous profiles: A x = b with the inner products A_ij = <p_i, p_j> and
/// b_i = <p_i, wanted>, O(N^3) for N snapshots.
/// @throws shape_error without a profile; value_error for one out of range, or where two are the same.
inline std::vector<double> post_hoc_weights(std::span<const power_profile> stored, const power_profile& wanted) {
  const std::size_t n = stored.size();
  if (n == 0) raise<shape_error>("limbeck: no stored profile to reconstruct from");
  const auto checked = [](const power_profile& p) {
    if (!(p.updates > 0) || p.updates - p.updates != 0)
      raise<value_error>("limbeck: a power_profile has updates " + detail::show(p.updates) +
                         ", expected a positive number");
    return std::pair<double, double>(p.updates, power_of_width(p.sigma_rel));
  };
  using profile = std::pair<double, double>;  // end and gamma
  const auto product = [](const profile& a, const profile& b) {
    const auto& [early, late] =
        a.first < b.first ? std::pair<profile, profile>(a, b) : std::pair<profile, profile>(b, a);
    return (a.second + 1) * (b.second + 1) * std::pow(early.first / late.first, late.second) /
           ((a.second + b.second + 1) * late.first);
  };
  std::vector<profile> p(n);
  for (std::size_t i = 0; i < n; ++i) p[i] = checked(stored[i]);
  const profile target = checked(wanted);
  // scaled to a unit diagonal, which is better conditioned; then elimination with row pivots
  std::vector<double> scale(n), a(n * n), x(n);
  for (std::size_t i = 0; i < n; ++i) scale[i] = 1 / std::sqrt(product(p[i], p[i]));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) a[i * n + j] = product(p[i], p[j]) * scale[i] * scale[j];
    x[i] = product(p[i], target) * scale[i];
  }
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    if (!(std::fabs(a[pivot * n + k]) > 1e-14))
      raise<value_error>("limbeck: stored profile " + std::to_string(k) +
                         " is (nearly) a combination of those before it");
    for (std::size_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
    std::swap(x[k], x[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      x[i] -= factor * x[k];
    }
  }
  double total = 0;
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) x[k] -= a[k * n + j] * x[j];
    x[k] /= a[k * n + k];
  }
  for (std::size_t i = 0; i < n; ++i) total += x[i] *= scale[i];
  for (double& v : x) v /= total;
  return x;
}

LIMBECK_END_NAMESPACE

#endif
