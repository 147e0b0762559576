#ifndef LIMBECK_TOKENS_HPP
#define LIMBECK_TOKENS_HPP

/// @file
/// Sequences of tokens: labels, masks, padding, reductions, selections; and what decoding asks of a model. Plain functions of views on
/// the host. Needs no tensor library.

#include <limbeck/decoding/scorer.hpp>
#include <limbeck/tokens/aligned.hpp>
#include <limbeck/tokens/aligned_gap.hpp>
#include <limbeck/tokens/gradient_alignment.hpp>
#include <limbeck/tokens/kept_ratio.hpp>
#include <limbeck/tokens/next_tokens.hpp>
#include <limbeck/tokens/padding.hpp>
#include <limbeck/tokens/prefix_of_mass.hpp>
#include <limbeck/tokens/response_mask.hpp>
#include <limbeck/tokens/segments.hpp>
#include <limbeck/tokens/sequence_means.hpp>
#include <limbeck/tokens/skew_curriculum.hpp>
#include <limbeck/tokens/spans.hpp>
#include <limbeck/tokens/token_weights.hpp>
#include <limbeck/tokens/whitened.hpp>

#endif
