#ifndef LIMBECK_DECODING_SCORER_HPP
#define LIMBECK_DECODING_SCORER_HPP

/// @file
/// What decoding asks of a model: the logits of next tokens.

#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// One sequence of a request to a scorer: the logits behind its last `wanted` tokens, `wanted` rows.
///
/// A model that keeps state (a recurrent one, a cache of keys and values) keeps it by `sequence`, and goes on at `known`:
/// so many leading tokens are those of its last request for this sequence. Less than it has seen: a draft was dropped, and the state
/// goes back. 0: a new sequence.
struct prefix {
  std::size_t sequence = 0;            ///< a number that stays with the sequence while it is decoded
  std::span<const token_id> tokens{};  ///< prompt, and what was written since
  std::size_t known = 0;               ///< leading tokens that this scorer was shown before, unchanged
  std::size_t wanted = 1;              ///< 1 to tokens.size(): rows, behind tokens[size - wanted], ..., tokens[size - 1]
};

namespace detail {
template <class X>
concept host_logits = tensor<std::remove_cvref_t<X>>;
}  // namespace detail

/// A model as decoding sees it: `m(requests)` for a `std::span<const prefix>` gives a tensor with a row of logits for each
/// position that is wanted, those of a request one behind another, requests in order. It may be a reference to the model's own
/// memory, read before the next call.
template <class M>
concept scorer = requires(std::remove_reference_t<M>& m, std::span<const prefix> requests) {
  { m(requests) } -> detail::host_logits;
};

LIMBECK_END_NAMESPACE

#endif
