#ifndef LIMBECK_EIGEN_HPP
#define LIMBECK_EIGEN_HPP

/// @file
/// Limbeck over Eigen tensors (Eigen 3.4 or later).

#include <limbeck/backend/eigen/rows.hpp>
#include <limbeck/limbeck.hpp>

#endif
