#ifndef LIMBECK_MAP_LAYER_NORM_HPP
#define LIMBECK_MAP_LAYER_NORM_HPP

/// @file
/// Layer normalisation without scale and shift.

#include <limbeck/map/moments.hpp>

LIMBECK_BEGIN_NAMESPACE

/// y = (x - mean)/sqrt(var + epsilon) along a row, the variance over n: `layer_norm` of PyTorch without scale and shift, which
/// a projection behind it can learn. A map of rows, of any length. Mean and variance are taken in double.
///
/// Gradient (g - mean(g) - y mean(g y))/sqrt(var + epsilon). Three passes there, four back.
///
/// Ba, Kiros, Hinton, *Layer Normalization*, 2016, arXiv:1607.06450.
struct layer_norm {
  using limbeck_map = map_of_rows;
  double epsilon = 1e-5;  ///< added to the variance, at least 0

  /// As many. @throws value_error where epsilon is negative.
  std::size_t outputs(std::size_t inputs) const {
    if (!(epsilon >= 0)) raise<value_error>("limbeck: epsilon of layer_norm is " + detail::show(epsilon) + ", expected at least 0");
    return inputs;
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    const detail::row_moments m = detail::moments_of(team, x);
    detail::standardise(team, x, y, m.mean, deviation(m, x.size()));
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> x, std::span<const T> y, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    detail::pull_back_standardised(team, y, std::span<const T>(slope), x_gradient, deviation(detail::moments_of(team, x), x.size()),
                                   1 / static_cast<double>(x.size()));
  }

 private:
  LIMBECK_HOST_DEVICE double deviation(const detail::row_moments& m, std::size_t n) const {
    return std::sqrt(m.squares / static_cast<double>(n) + epsilon);
  }
};

LIMBECK_END_NAMESPACE

#endif
