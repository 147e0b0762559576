#ifndef LIMBECK_TOKENS_NEXT_TOKENS_HPP
#define LIMBECK_TOKENS_NEXT_TOKENS_HPP

/// @file
/// Labels of language models in sequences of any length: the token behind each.

#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cstddef>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// Writes the labels of rows of logits: row r of a sequence has the token of row r + 1, and the last of each has none,
/// -100. @p tokens and @p labels are any vectors of whole numbers with one a row; they may be the same. Of a padded
/// batch, which is sequences of one length, the view `next_tokens(tokens, time)` does this without writing. O(rows),
/// and allocates nothing.
/// @throws shape_error where a length is not that of @p s.
template <detail::sized_memory Tokens, detail::sized_memory Labels>
void next_tokens(const Tokens& tokens, const segments& s, Labels&& labels) {
  const any_vector x = detail::view_vector(tokens);
  if (x.size() != s.rows()) detail::throw_length("tokens", x.size(), s.rows());
  const auto out = detail::output_vector("labels", labels, s.rows());
  static_assert(std::is_signed_v<std::remove_cvref_t<decltype(*out.data)>>,
                "limbeck: labels are signed, for one that is ignored is -100");
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) detail::put(out, r, r + 1 < s.end(i) ? x.integer(r + 1) : -100);
}

LIMBECK_END_NAMESPACE

#endif
