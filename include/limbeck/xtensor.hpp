#ifndef LIMBECK_XTENSOR_HPP
#define LIMBECK_XTENSOR_HPP

/// @file
/// Limbeck over xtensor tensors (0.24 or later), with xsimd packs.

#include <limbeck/backend/xtensor/rows.hpp>
#include <limbeck/limbeck.hpp>

#endif
