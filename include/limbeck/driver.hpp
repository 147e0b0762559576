#ifndef LIMBECK_DRIVER_HPP
#define LIMBECK_DRIVER_HPP

/// @file
/// Loops over callables: rounds of active learning, generations of self-training, stages, networks in turn. They know checkpoints and
/// nothing of objectives: what a training is, is yours. Part of `limbeck::trainer`.

#include <limbeck/driver/active_rounds.hpp>
#include <limbeck/driver/alternating.hpp>
#include <limbeck/driver/parts.hpp>
#include <limbeck/driver/self_training.hpp>
#include <limbeck/driver/stages.hpp>
#include <limbeck/driver/turn.hpp>

#endif
