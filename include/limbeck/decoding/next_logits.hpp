#ifndef LIMBECK_DECODING_NEXT_LOGITS_HPP
#define LIMBECK_DECODING_NEXT_LOGITS_HPP

/// @file
/// What a scorer says behind sequences that are there.

#include <limbeck/decoding/rollouts.hpp>
#include <limbeck/decoding/scorer.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The logits of the token behind each sequence, a row for each: behind alternatives, sample(student, prefixes_of(answers), {.length =
/// 1}), they are what transitions from token to token are compared by. Read before the model is asked again, in whatever context: they may
/// be a view of its memory.
/// @throws value_error where a sequence has no token.
template <scorer M>
auto next_logits(M&& m, const rollouts& x) -> std::invoke_result_t<M&, std::span<const prefix>> {
  x.require_whole();
  std::vector<prefix> requests;
  for (std::size_t s = 0; s < x.size(); ++s) {
    if (x[s].empty()) raise<value_error>("limbeck: sequence " + std::to_string(s) + " is empty, expected a token at least");
    requests.push_back({.sequence = s, .tokens = x[s], .prompt = x.prompts[s]});
  }
  return m(std::span<const prefix>(requests));
}
/// @cond
template <class M>
  requires(!scorer<M>)
void next_logits(M&&, const rollouts&) {
  detail::require_scorers<M>();
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
