#ifndef LIMBECK_LIMBECK_HPP
#define LIMBECK_LIMBECK_HPP

/// @file
/// Everything that needs no tensor library, a header a family; `rows<T>` over plain memory is its backend. Add one of
/// <limbeck/eigen.hpp>, <limbeck/xtensor.hpp>, <limbeck/thrust.hpp>. A program that wants less includes the families it uses.

#include <limbeck/averaging.hpp>
#include <limbeck/dense.hpp>
#include <limbeck/features.hpp>
#include <limbeck/layers.hpp>
#include <limbeck/logits.hpp>
#include <limbeck/relations.hpp>
#include <limbeck/selection.hpp>
#include <limbeck/targets.hpp>
#include <limbeck/tokens.hpp>

#endif
