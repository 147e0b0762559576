#ifndef LIMBECK_MAP_STANDARDISED_HPP
#define LIMBECK_MAP_STANDARDISED_HPP

/// @file
/// Rows of mean 0 and deviation 1.

#include <limbeck/map/moments.hpp>

LIMBECK_BEGIN_NAMESPACE

/// y = (x - mean)/(1e-7 + std) along a row, the deviation over n - 1: the Z-score of logit standardisation. A map of rows, of
/// any length; of one column it gives 0. Mean and deviation are taken in double.
///
/// For softmaxes there is `at_temperature(standardized(T), loss)`, which knows masked classes and needs no memory; this map
/// standardises in front of any other loss. Gradient (g - mean(g) - y sum(g y) (1e-7 + std)/((n - 1) std))/(1e-7 + std); through the
/// deviation it is 0 in a row of equal numbers, where there is none. Three passes there, four back.
///
/// Sun, Ren, Li, Wang, Cao, *Logit Standardization in Knowledge Distillation*, CVPR 2024, arXiv:2403.01427.
struct standardised {
  using limbeck_map = map_of_rows;
  /// What is added to a deviation, as the authors' code has it.
  static constexpr double epsilon = 1e-7;
  std::size_t outputs(std::size_t inputs) const { return inputs; }  ///< as many

  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    const detail::row_moments m = detail::moments_of(team, x);
    detail::standardise(team, x, y, m.mean, epsilon + deviation(m, x.size()));
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> x, std::span<const T> y, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    const double d = deviation(detail::moments_of(team, x), x.size());
    detail::pull_back_standardised(team, y, std::span<const T>(slope), x_gradient, epsilon + d,
                                   d > 0 ? (epsilon + d) / (d * static_cast<double>(x.size() - 1)) : 0);
  }

 private:
  LIMBECK_HOST_DEVICE static double deviation(const detail::row_moments& m, std::size_t n) {
    return n > 1 ? std::sqrt(m.squares / static_cast<double>(n - 1)) : 0;
  }
};

LIMBECK_END_NAMESPACE

#endif
