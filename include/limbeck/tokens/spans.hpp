#ifndef LIMBECK_TOKENS_SPANS_HPP
#define LIMBECK_TOKENS_SPANS_HPP

/// @file
/// Words, phrases and sentences inside of sequences.

#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cstddef>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The spans of tokens that begin where @p starts is not 0 and wherever a sequence does, as segments of their own: what
/// is reduced, averaged or spread over sequences (token_weights(), sequence_means(), to_tokens()) is so over words or
/// phrases. @p starts is any vector of numbers with one a row. O(rows). @throws shape_error where its length does not
/// fit.
template <detail::sized_memory Starts>
segments spans(const segments& s, const Starts& starts) {
  const any_vector x = detail::view_vector(starts);
  if (x.size() != s.rows()) detail::throw_length("starts", x.size(), s.rows());
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t r = s.begin(i); r < s.end(i); ++r)
      if (r == s.begin(i) || x.number(r) != 0) offsets.push_back(r);
  offsets.push_back(s.rows());
  return segments(std::move(offsets));
}

LIMBECK_END_NAMESPACE

#endif
