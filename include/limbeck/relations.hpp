#ifndef LIMBECK_RELATIONS_HPP
#define LIMBECK_RELATIONS_HPP

/// @file
/// Losses between the samples of a batch. Needs no tensor library.

#include <limbeck/logits.hpp>
#include <limbeck/loss/relations/cka.hpp>
#include <limbeck/loss/relations/contrastive.hpp>
#include <limbeck/loss/relations/correlation_congruence.hpp>
#include <limbeck/loss/relations/cross_correlation.hpp>
#include <limbeck/loss/relations/dist.hpp>
#include <limbeck/loss/relations/margins.hpp>
#include <limbeck/loss/relations/neighbour_kl.hpp>
#include <limbeck/loss/relations/nst.hpp>
#include <limbeck/loss/relations/pair_logistic.hpp>
#include <limbeck/loss/relations/pkt.hpp>
#include <limbeck/loss/relations/rkd.hpp>
#include <limbeck/loss/relations/similarity_preserving.hpp>
#include <limbeck/loss/relations/span_consistency.hpp>
#include <limbeck/loss/relations/sskd.hpp>
#include <limbeck/loss/relations/two_views.hpp>

#endif
