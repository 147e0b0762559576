#ifndef LIMBECK_LOSS_FEATURES_PROJECTED_HPP
#define LIMBECK_LOSS_FEATURES_PROJECTED_HPP

/// @file
/// A loss between features of different widths: the student's go through a learned projection first.

#include <limbeck/loss/features/projection.hpp>
#include <limbeck/map/at_positions.hpp>
#include <limbeck/map/through.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @p e between `p` of the student's features and the teacher's as they are: `through(at_positions(p, positions), identity{}, e)`.
///
/// A call that wants a gradient also adds that of the weights and the bias, as weighted in the objective, to @p p's
/// own; one that wants none changes nothing. @p p must outlive the objective and have the scalar type of the features.
/// @param p a linear map of the student's columns
/// @param e a loss of any kind, or a sum of losses
/// @param positions of features that are channels x positions: the projection maps channels at each position, a 1x1
///   convolution. With 1 it maps the whole row.
/// @throws shape_error where the student's columns are not p's inputs x positions, or as @p e says; value_error
///   where a feature is not finite. Three products.
template <class T, class Memory, loss E>
auto projected(projection<T, Memory>& p, const E& e, std::size_t positions = 1) {
  return through(at_positions(p, positions), identity{}, e);
}
/// @cond
template <class T, class Memory, loss E>
auto projected(const projection<T, Memory>&&, const E&, std::size_t = 1) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
