#ifndef LIMBECK_FEATURES_HPP
#define LIMBECK_FEATURES_HPP

/// @file
/// Losses between layers, with their projections. Needs no tensor library.

#include <limbeck/logits.hpp>
#include <limbeck/loss/features/attention_transfer.hpp>
#include <limbeck/loss/features/barron.hpp>
#include <limbeck/loss/features/beta_kl.hpp>
#include <limbeck/loss/features/bits.hpp>
#include <limbeck/loss/features/cosine_loss.hpp>
#include <limbeck/loss/features/crd.hpp>
#include <limbeck/loss/features/element_weights.hpp>
#include <limbeck/loss/features/flops.hpp>
#include <limbeck/loss/features/hard_quantile.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/loss/features/ickd.hpp>
#include <limbeck/loss/features/projected.hpp>
#include <limbeck/loss/features/projection.hpp>
#include <limbeck/loss/features/sinkhorn.hpp>
#include <limbeck/loss/features/smooth_l1.hpp>
#include <limbeck/loss/features/vid.hpp>

#endif
