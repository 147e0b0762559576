#ifndef LIMBECK_MAP_IDENTITY_HPP
#define LIMBECK_MAP_IDENTITY_HPP

/// @file
/// Rows as they are: the side of `through` that has no map.

#include <limbeck/core/team.hpp>
#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

/// y = x, for the side that needs no map: `through(p, identity{}, hint{})`. Nothing is copied there.
struct identity {
  using limbeck_map = map_of_rows;
  std::size_t outputs(std::size_t inputs) const { return inputs; }  ///< as many

  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    detail::for_own<T>(team, x.size(), [&](std::size_t c) { y[c] = x[c]; });
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> x, std::span<const T>, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    detail::for_own<T>(team, x.size(), [&](std::size_t c) { x_gradient[c] += slope[c]; });
  }
};

LIMBECK_END_NAMESPACE

#endif
