#ifndef LIMBECK_LAYERS_HPP
#define LIMBECK_LAYERS_HPP

/// @file
/// Lists of layers: which teaches which, losses over them, means, mixtures and cosines. Needs no tensor library.

#include <limbeck/features.hpp>
#include <limbeck/layers/layer_cosines.hpp>
#include <limbeck/layers/layer_map.hpp>
#include <limbeck/layers/layer_mixer.hpp>
#include <limbeck/objective/layered.hpp>
#include <limbeck/target/layer_mean.hpp>

#endif
