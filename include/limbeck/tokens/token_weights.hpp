#ifndef LIMBECK_TOKENS_TOKEN_WEIGHTS_HPP
#define LIMBECK_TOKENS_TOKEN_WEIGHTS_HPP

/// @file
/// Reductions over tokens, sequences or a given count, as weights of rows.

#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// m_r of a mask, a number that is at least 0; 1 where none is given.
inline double mask_at(const any_vector& mask, std::size_t r) {
  if (mask.empty()) return 1;
  const double m = mask.number(r);
  if (!(m >= 0 && m - m == 0))
    raise<value_error>("limbeck: mask is " + show(m) + " at row " + std::to_string(r) +
                       ", expected a finite number that is at least 0");
  return m;
}
/// @throws shape_error where @p mask is given and not one a row; value_error where a number of it is none of a mask.
inline void check_mask(const any_vector& mask, std::size_t rows) {
  if (!mask.empty() && mask.size() != rows) throw_length("mask", mask.size(), rows);
  for (std::size_t r = 0; r < mask.size(); ++r) (void)mask_at(mask, r);
}

/// What a row of a sequence weighs whose mask adds up to @p of_sequence.
struct weight_per_token {
  double operator()(double m, double) const { return m; }
};
struct weight_per_sequence {
  double operator()(double m, double of_sequence) const { return m > 0 ? m / of_sequence : 0; }
};
struct weight_per_count {
  double count;
  double operator()(double m, double) const { return m / count; }
};

template <class Reduction, class Weights>
double token_weights(const segments& s, const any_vector& mask, const Reduction& weigh, Weights& weights) {
  check_mask(mask, s.rows());
  const auto out = output_vector("weights", weights, s.rows());
  double total = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    double of_sequence = 0;
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) of_sequence += mask_at(mask, r);
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) {
      const double w = weigh(mask_at(mask, r), of_sequence);
      put(out, r, w);
      total += w;
    }
  }
  return total;
}

}  // namespace detail

/// Every token counts alike: w = m. `mean` is the mean over tokens, `mean_over(n)` with a count of yours their sum over
/// it.
inline constexpr detail::weight_per_token per_token{};
/// Every sequence counts alike, however long: w = m over the sum of m in its sequence. `mean` is the mean over
/// sequences of the means over their tokens. A sequence without a token counts nowhere.
inline constexpr detail::weight_per_sequence per_sequence{};
/// w = m/n: `sum` is the sum over tokens divided by @p n. @throws value_error where n is not positive.
inline detail::weight_per_count per_count(double n) {
  if (!(n > 0 && n - n == 0))
    raise<value_error>("limbeck: per_count is " + detail::show(n) + ", expected a positive number");
  return {n};
}

/// Writes the weights of rows by which an objective is reduced over tokens, over sequences, or over a count: @p per is
/// `per_token`, `per_sequence` or `per_count(n)`. They go into `row_weights`.
///
/// @p mask is m, one number a row (1 where a row counts, 0 where it does not, as response_mask() writes it; any weights
/// in between), @p weights any vector of numbers with one a row. Returns the sum of the weights: of `per_token` how
/// many tokens count, of `per_sequence` how many sequences have one.
///
/// No weight knows of other sequences, so the weights of a batch are those of its micro-batches, whose sums add up:
/// `mean_over` the sum of the whole gives the same numbers in one call or in many, and so does the trainer, which adds
/// up for you. Split between sequences, not inside of one. O(rows), and allocates nothing.
/// @throws value_error where a number of the mask is negative or not finite, shape_error where a length does not fit.
template <detail::sized_memory Mask, class Reduction, detail::sized_memory Weights>
double token_weights(const segments& s, const Mask& mask, const Reduction& per, Weights&& weights) {
  return detail::token_weights(s, detail::view_vector(mask), per, weights);
}

LIMBECK_END_NAMESPACE

#endif
