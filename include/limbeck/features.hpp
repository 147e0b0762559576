#ifndef LIMBECK_FEATURES_HPP
#define LIMBECK_FEATURES_HPP

/// @file
/// Losses between layers, and the maps and views through which losses of any kind see them. Needs no tensor library.

#include <limbeck/logits.hpp>
#include <limbeck/loss/features/attention_transfer.hpp>
#include <limbeck/loss/features/crd.hpp>
#include <limbeck/loss/features/hard_quantile.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/loss/features/ickd.hpp>
#include <limbeck/loss/features/nearest_layers.hpp>
#include <limbeck/loss/features/projected.hpp>
#include <limbeck/loss/features/projection.hpp>
#include <limbeck/loss/features/sinkhorn.hpp>
#include <limbeck/loss/features/vid.hpp>
#include <limbeck/map/at_positions.hpp>
#include <limbeck/map/class_vectors.hpp>
#include <limbeck/map/columns.hpp>
#include <limbeck/map/gathered.hpp>
#include <limbeck/map/layer_norm.hpp>
#include <limbeck/map/learned.hpp>
#include <limbeck/map/pooled.hpp>
#include <limbeck/map/standardised.hpp>
#include <limbeck/map/then.hpp>
#include <limbeck/map/through.hpp>
#include <limbeck/map/unit_rows.hpp>
#include <limbeck/map/views.hpp>

#endif
