#ifndef LIMBECK_TOKENS_WHITENED_HPP
#define LIMBECK_TOKENS_WHITENED_HPP

/// @file
/// Rewards and advantages of tokens, with mean 0 and variance 1 over those that count.

#include <limbeck/tokens/token_weights.hpp>

#include <cmath>
#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// out_r = (x_r - mu)/sqrt(var + epsilon) where m_r is not 0, else 0; mu = sum m x/sum m and var = sum m (x - mu)^2/sum
/// m, the variance of a population, over the rows of the mask alone.
///
/// @p x, @p mask and @p out are any vectors of numbers with one a row; x and out may be the same. Numbers of rows that
/// do not count may be anything. Sums in double, in order. O(rows), and allocates nothing.
/// @throws value_error where a number that counts is not finite or @p epsilon is not positive; and as token_weights().
///
/// Gu, Dong, Wei and Huang, MiniLLM, 2023, arXiv:2306.08543, whose code whitens so (epsilon 1e-8), but over padding,
/// too: its mean and variance depend on the longest sequence of a batch. Several processes have the variance of a
/// population there, one alone has the unbiased one.
template <detail::sized_memory X, detail::sized_memory Mask, detail::sized_memory Out>
void whitened(const X& x, const Mask& mask, Out&& out, double epsilon = 1e-8) {
  const any_vector in = detail::view_vector(x), m = detail::view_vector(mask);
  if (!(epsilon > 0))
    raise<value_error>("limbeck: epsilon is " + detail::show(epsilon) + ", expected a positive number");
  detail::check_mask(m, in.size());
  const auto to = detail::output_vector("out", out, in.size());
  double weight = 0, added = 0, squares = 0;
  for (std::size_t r = 0; r < in.size(); ++r) {
    if (m.number(r) == 0) continue;
    const double v = in.number(r);
    if (v - v != 0)
      raise<value_error>("limbeck: x is " + detail::show(v) + " at row " + std::to_string(r) +
                         ", expected a finite number");
    weight += m.number(r);
    added += m.number(r) * v;
  }
  const double middle = weight > 0 ? added / weight : 0;
  for (std::size_t r = 0; r < in.size(); ++r)
    if (const double w = m.number(r); w != 0) squares += w * (in.number(r) - middle) * (in.number(r) - middle);
  const double scale = 1 / std::sqrt((weight > 0 ? squares / weight : 0) + epsilon);
  for (std::size_t r = 0; r < in.size(); ++r)
    detail::put(to, r, m.number(r) == 0 ? 0 : (in.number(r) - middle) * scale);
}

LIMBECK_END_NAMESPACE

#endif
