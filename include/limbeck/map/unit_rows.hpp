#ifndef LIMBECK_MAP_UNIT_ROWS_HPP
#define LIMBECK_MAP_UNIT_ROWS_HPP

/// @file
/// Rows of length 1.

#include <limbeck/loss/support.hpp>
#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

/// y = x / ||x||, a row over its 2-norm: what contrastive losses and CLIP compare. A map of rows, of any length.
///
/// The gradient is (g - (g . y) y) / ||x||. A row of 0 stays 0 and has the gradient 0; a row whose length is beyond the type is no
/// number. Two passes there, two back.
struct unit_rows {
  using limbeck_map = map_of_rows;
  std::size_t outputs(std::size_t inputs) const { return inputs; }  ///< as many

  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    const T norm = detail::norm_of(team, x.data(), x.size());
    const T by = norm == T(0) ? T(1) : norm;
    detail::for_own<T>(team, x.size(), [&](std::size_t c) { y[c] = x[c] / by; });
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> x, std::span<const T> y, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    const T norm = detail::norm_of(team, x.data(), x.size());
    if (norm == T(0)) return;
    const T along = detail::inner_product(team, y.data(), static_cast<const T*>(slope.data()), x.size());
    detail::for_own<T>(team, x.size(), [&](std::size_t c) { x_gradient[c] += (slope[c] - along * y[c]) / norm; });
  }
};

LIMBECK_END_NAMESPACE

#endif
