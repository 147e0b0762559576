#ifndef LIMBECK_TOKENS_HPP
#define LIMBECK_TOKENS_HPP

/// @file
/// Sequences of tokens: labels, masks, padding, reductions, selections; and decoding, who writes them. Plain functions on
/// the host. Needs no tensor library.

#include <limbeck/decoding/admitted.hpp>
#include <limbeck/decoding/answer_logits.hpp>
#include <limbeck/decoding/corrected.hpp>
#include <limbeck/decoding/either.hpp>
#include <limbeck/decoding/in_context.hpp>
#include <limbeck/decoding/interleaved.hpp>
#include <limbeck/decoding/mixed.hpp>
#include <limbeck/decoding/next_logits.hpp>
#include <limbeck/decoding/prefixes.hpp>
#include <limbeck/decoding/rewritten.hpp>
#include <limbeck/decoding/rollouts.hpp>
#include <limbeck/decoding/sample.hpp>
#include <limbeck/decoding/scorer.hpp>
#include <limbeck/decoding/token_law.hpp>
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
