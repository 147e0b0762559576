#ifndef LIMBECK_FEATURES_HPP
#define LIMBECK_FEATURES_HPP

/// @file
/// Losses between layers, and the maps and views through which losses of any kind see them. Needs no tensor library.

#include <limbeck/logits.hpp>
#include <limbeck/loss/features/activation_boundaries.hpp>
#include <limbeck/loss/features/attention_transfer.hpp>
#include <limbeck/loss/features/barron.hpp>
#include <limbeck/loss/features/beta_kl.hpp>
#include <limbeck/loss/features/bits.hpp>
#include <limbeck/loss/features/channel_affinity.hpp>
#include <limbeck/loss/features/cosine_loss.hpp>
#include <limbeck/loss/features/crd.hpp>
#include <limbeck/loss/features/element_weights.hpp>
#include <limbeck/loss/features/factor_transfer.hpp>
#include <limbeck/loss/features/flops.hpp>
#include <limbeck/loss/features/fsp.hpp>
#include <limbeck/loss/features/hard_quantile.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/loss/features/ickd.hpp>
#include <limbeck/loss/features/kdsvd.hpp>
#include <limbeck/loss/features/log_sum.hpp>
#include <limbeck/loss/features/nearest_layers.hpp>
#include <limbeck/loss/features/overhaul.hpp>
#include <limbeck/loss/features/pad_l2.hpp>
#include <limbeck/loss/features/position_similarity.hpp>
#include <limbeck/loss/features/projected.hpp>
#include <limbeck/loss/features/projection.hpp>
#include <limbeck/loss/features/pseudo_huber.hpp>
#include <limbeck/loss/features/sinkhorn.hpp>
#include <limbeck/loss/features/smooth_l1.hpp>
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
