#ifndef LIMBECK_TOKENS_PREFIX_OF_MASS_HPP
#define LIMBECK_TOKENS_PREFIX_OF_MASS_HPP

/// @file
/// The first tokens of sequences, up to a share of their entropy.

#include <limbeck/selection/quantile.hpp>
#include <limbeck/tokens/token_weights.hpp>

#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
template <class Out>
std::size_t prefix_of_mass(const any_vector& x, const segments& s, double share, const any_vector& mask, Out& out) {
  check_fraction("share", share);
  if (x.size() != s.rows()) throw_length("x", x.size(), s.rows());
  check_mask(mask, s.rows());
  const auto to = output_vector("out", out, s.rows());
  for (std::size_t r = 0; r < s.rows(); ++r)
    if (const double v = x.number(r); mask_at(mask, r) != 0 && !(v >= 0 && v - v == 0))
      raise<value_error>("limbeck: x is " + show(v) + " at row " + std::to_string(r) +
                         ", expected a finite number that is at least 0");
  std::size_t kept = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    double total = 0, added = 0;
    for (std::size_t r = s.begin(i); r < s.end(i); ++r)
      if (mask_at(mask, r) != 0) total += x.number(r);
    bool before = true;  // no row has reached the share yet
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) {
      const bool counts = mask_at(mask, r) != 0;
      if (counts) added += x.number(r);
      before = before && added < share * total;
      put(to, r, counts && before ? 1 : 0);
      kept += counts && before;
    }
  }
  return kept;
}
}  // namespace detail
/// @endcond

/// out_r = 1 for the rows of a sequence before the first at which the running sum of @p x reaches @p share of the sum
/// over the sequence, else 0; returns how many are 1. The row that reaches it is not among them: none is, where the
/// first does.
///
/// @p x is any vector of numbers that are at least 0, one a row: the student's entropies, by `measure(entropy{}, ...)`.
/// @p out is any vector of numbers with one a row. O(rows), and allocates nothing.
/// @throws value_error where a number is negative or not finite or the share is not in [0, 1], shape_error where a
/// length does not fit.
///
/// Kim and Baek, TSD-KD, 2026, arXiv:2603.13260, share 0.1: the early tokens, on which the teacher ranks the student's
/// candidates. After the authors' code, which runs over all valid tokens of a batch, one sequence behind the other, and
/// takes the place where it stops as a column of the padded batch, so that the cut of a sequence depends on its
/// neighbours; here each sequence has its own.
template <detail::sized_memory X, detail::sized_memory Out>
std::size_t prefix_of_mass(const X& x, const segments& s, double share, Out&& out) {
  return detail::prefix_of_mass(detail::view_vector(x), s, share, {}, out);
}
/// The same among the rows where @p mask is not 0; the others get 0, add nothing, and may have any number.
template <detail::sized_memory X, detail::sized_memory Mask, detail::sized_memory Out>
std::size_t prefix_of_mass(const X& x, const segments& s, double share, const Mask& mask, Out&& out) {
  return detail::prefix_of_mass(detail::view_vector(x), s, share, detail::view_vector(mask), out);
}

LIMBECK_END_NAMESPACE

#endif
