#ifndef LIMBECK_TOKENS_RESPONSE_MASK_HPP
#define LIMBECK_TOKENS_RESPONSE_MASK_HPP

/// @file
/// Which rows of logits a response is learnt from: those that predict its tokens.

#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
/// How many rows of sequence @p i are @p what. @throws value_error where it has not so many.
inline std::size_t length_within(const any_vector& lengths, const segments& s, std::size_t i, const char* what) {
  const std::int64_t n = lengths.integer(i);
  if (n < 0 || static_cast<std::uint64_t>(n) > s.length(i))
    raise<value_error>(std::string("limbeck: ") + what + " is " + std::to_string(n) + " of sequence " +
                       std::to_string(i) + ", expected 0 to " + std::to_string(s.length(i)) + ", its rows");
  return static_cast<std::size_t>(n);
}
template <class Mask>
std::size_t response_mask(const segments& s, const any_vector& prompts, const any_vector& lengths, Mask& mask) {
  if (prompts.size() != s.size()) throw_length("prompt_lengths", prompts.size(), s.size(), "one a sequence");
  if (!lengths.empty() && lengths.size() != s.size())
    throw_length("lengths", lengths.size(), s.size(), "one a sequence");
  const auto out = output_vector("mask", mask, s.rows());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const std::size_t prompt = length_within(prompts, s, i, "prompt_lengths");
    const std::size_t length = lengths.empty() ? s.length(i) : length_within(lengths, s, i, "lengths");
    if (prompt > length)
      raise<value_error>("limbeck: prompt_lengths is " + std::to_string(prompt) + " of sequence " + std::to_string(i) +
                         ", expected at most its length, " + std::to_string(length));
    for (std::size_t t = 0; t < s.length(i); ++t) {
      const bool of_response = t + 1 >= prompt && t + 1 < length;
      put(out, s.begin(i) + t, of_response ? 1 : 0);
      kept += of_response;
    }
  }
  return kept;
}
}  // namespace detail
/// @endcond

/// mask_r = 1 where row r of logits predicts a token of the response, else 0: of a sequence of n tokens with a prompt
/// of p these are its rows p - 1 to n - 2 (0 to n - 2 without a prompt, for nothing predicts a first token). Returns
/// how many are 1.
///
/// @p prompt_lengths is one a sequence, @p mask any vector of numbers with one a row: `row_mask` or the mask of
/// token_weights(). Labels are shifted beside it, by next_tokens(); the mask is of rows of logits and is not. O(rows),
/// and allocates nothing.
/// @throws value_error where a prompt is longer than its sequence, shape_error where a length does not fit.
template <detail::sized_memory Prompts, detail::sized_memory Mask>
std::size_t response_mask(const segments& s, const Prompts& prompt_lengths, Mask&& mask) {
  return detail::response_mask(s, detail::view_vector(prompt_lengths), {}, mask);
}
/// The same of a batch padded at the end of its sequences: `lengths` is how many tokens each has, prompt included, and
/// the rows behind them have 0.
template <detail::sized_memory Prompts, detail::sized_memory Lengths, detail::sized_memory Mask>
std::size_t response_mask(const segments& s, const Prompts& prompt_lengths, const Lengths& lengths, Mask&& mask) {
  return detail::response_mask(s, detail::view_vector(prompt_lengths), detail::view_vector(lengths), mask);
}

LIMBECK_END_NAMESPACE

#endif
