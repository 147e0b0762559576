#ifndef LIMBECK_TOKENS_SEQUENCE_MEANS_HPP
#define LIMBECK_TOKENS_SEQUENCE_MEANS_HPP

/// @file
/// Numbers of tokens as numbers of sequences, and back.

#include <limbeck/tokens/token_weights.hpp>

#include <cstddef>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
template <bool Mean, class Out>
void reduce_sequences(const any_vector& x, const segments& s, const any_vector& mask, Out& out) {
  if (x.size() != s.rows()) throw_length("x", x.size(), s.rows());
  check_mask(mask, s.rows());
  const auto to = output_vector("out", out, s.size(), "one a sequence");
  for (std::size_t i = 0; i < s.size(); ++i) {
    double added = 0, weight = 0;
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) {
      const double m = mask_at(mask, r);
      if (m == 0) continue;  // its number may be anything
      added += m * x.number(r);
      weight += m;
    }
    put(to, i, Mean && weight > 0 ? added / weight : added);
  }
}
}  // namespace detail
/// @endcond

/// out_s = sum_r m_r x_r / sum_r m_r over the rows of sequence s, 0 where none counts; numbers of rows that do not
/// count may be anything. @p x and @p mask are any vectors of numbers with one a row, @p out with one a sequence. Sums
/// in double, in order. O(rows), and allocates nothing. @throws as token_weights().
template <detail::sized_memory X, detail::sized_memory Mask, detail::sized_memory Out>
void sequence_means(const X& x, const segments& s, const Mask& mask, Out&& out) {
  detail::reduce_sequences<true>(detail::view_vector(x), s, detail::view_vector(mask), out);
}
/// out_s = sum_r m_r x_r: of log-probabilities of tokens those of sequences. See sequence_means().
template <detail::sized_memory X, detail::sized_memory Mask, detail::sized_memory Out>
void sequence_sums(const X& x, const segments& s, const Mask& mask, Out&& out) {
  detail::reduce_sequences<false>(detail::view_vector(x), s, detail::view_vector(mask), out);
}
/// out_r is the number of r's sequence. @p numbers is any vector of numbers with one a sequence, @p out with one a row.
/// O(rows), and allocates nothing. @throws shape_error where a length does not fit.
template <detail::sized_memory Numbers, detail::sized_memory Out>
void to_tokens(const Numbers& numbers, const segments& s, Out&& out) {
  const any_vector x = detail::view_vector(numbers);
  if (x.size() != s.size()) detail::throw_length("numbers", x.size(), s.size(), "one a sequence");
  const auto to = detail::output_vector("out", out, s.rows());
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) detail::put(to, r, x.number(i));
}

LIMBECK_END_NAMESPACE

#endif
