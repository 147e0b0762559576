#ifndef LIMBECK_DIFFUSION_DENSITY_RATIO_HPP
#define LIMBECK_DIFFUSION_DENSITY_RATIO_HPP

/// @file
/// What the logits of a critic say of two densities.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/stored_rows.hpp>
#include <limbeck/engine/target.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// What `density_ratio` and `log_density_ratio` take beside logits.
struct density_ratio_options {
  double clip = std::numeric_limits<double>::infinity();  ///< the furthest from 0 that a logarithm of a ratio is, positive
};

/// @cond
namespace detail {
template <class Logits, class Out, class F>
void for_density_ratios(const Logits& logits, Out& out, double clip, const F& f) {
  static_assert(tensor<Logits>, "limbeck: the logits of a critic are no tensor of floats (is its backend's header included?)");
  if constexpr (tensor<Logits>) {
    require_host<Logits>();
    const auto x = tensor_traits<Logits>::view(logits);
    if (!(clip > 0)) raise<value_error>("limbeck: clip of density_ratio is " + show(clip) + ", expected a positive number");
    const auto to = output_vector("out", out, x.samples);
    const auto mean_of = [&](std::size_t r) {
      double added = 0;
      for (std::size_t c = 0; c < x.classes; ++c) added += static_cast<double>(x(r, c));
      return added / static_cast<double>(x.classes);
    };
    for (std::size_t r = 0; r < x.samples; ++r)
      if (const double l = mean_of(r); l != l || (std::isinf(l) && std::isinf(clip)))
        raise<value_error>("limbeck: row " + std::to_string(r) + " of the critic's logits has the mean " + show(l) + ", expected a finite number");
    const auto result = [&](std::size_t r) {
      const double l = mean_of(r);
      return f(l > clip ? clip : l < -clip ? -clip : l);
    };
    using number = std::remove_pointer_t<decltype(to.data)>;
    const auto fits = [](double v) { return v - v == 0 && std::isfinite(static_cast<double>(static_cast<number>(v))); };
    for (std::size_t r = 0; r < x.samples; ++r)
      if (!fits(result(r)))
        raise<value_error>("limbeck: row " + std::to_string(r) + " of the critic's logits has the mean " + show(mean_of(r)) +
                           ", too large for the type of out, expected a smaller one or a clip");
    for (std::size_t r = 0; r < x.samples; ++r) put(to, r, result(r));
  }
}
}  // namespace detail
/// @endcond

/// log r of each row: the mean of its logits, no further from 0 than `clip`.
///
/// The critic that minimises `critic_logistic` is log p_real(x)/p_fake(x) at every x, where it saw as many of both: its logits are
/// the logarithm of the ratio of densities. Host only, held fixed: no gradient goes through it. O(logits), and allocates nothing.
/// @param options as above
/// @param logits what the critic gave, samples x heads
/// @param out a vector of numbers, one a row
/// @throws shape_error where @p out has not one number a row; value_error where clip is not positive, or naming the row where the mean
///   is a NaN, or infinite without a clip, or where the result is beyond the type of @p out. @p out is left as it was.
template <class Logits, class Out>
void log_density_ratio(const Logits& logits, Out&& out, const density_ratio_options& options = {}) {
  detail::for_density_ratios(logits, out, options.clip, [](double l) { return l; });
}
/// r = p_real/p_fake of each row, exp of `log_density_ratio`: `density_ratio(logits, r, {.clip = 10})`. Errors as there:
/// without a clip, means above 709 are beyond a double, above 88 beyond a float.
///
/// As in the codes of Xu et al., One-step Diffusion Models with f-Divergence Distribution Matching (f-distill), 2025,
/// arXiv:2502.15681, where clip is 10.
template <class Logits, class Out>
void density_ratio(const Logits& logits, Out&& out, const density_ratio_options& options = {}) {
  detail::for_density_ratios(logits, out, options.clip, [](double l) { return std::exp(l); });
}

LIMBECK_END_NAMESPACE

#endif
