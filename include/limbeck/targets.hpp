#ifndef LIMBECK_TARGETS_HPP
#define LIMBECK_TARGETS_HPP

/// @file
/// What a student learns from in the place of a teacher's logits: ensembles, mixtures, sparse rows, pasts. Needs no tensor library.

#include <limbeck/target/binary_labels.hpp>
#include <limbeck/target/class_map.hpp>
#include <limbeck/target/ensemble.hpp>
#include <limbeck/target/fill.hpp>
#include <limbeck/target/gated_memory.hpp>
#include <limbeck/target/interpolation.hpp>
#include <limbeck/target/label_mix.hpp>
#include <limbeck/target/layer_mean.hpp>
#include <limbeck/target/load_balance.hpp>
#include <limbeck/target/min_max_scores.hpp>
#include <limbeck/target/past.hpp>
#include <limbeck/target/power_transform.hpp>
#include <limbeck/target/prototypes.hpp>
#include <limbeck/target/shifted.hpp>
#include <limbeck/target/sparse.hpp>
#include <limbeck/target/sparse_kl.hpp>
#include <limbeck/target/zipf_labels.hpp>

#endif
