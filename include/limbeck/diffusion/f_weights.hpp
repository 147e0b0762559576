#ifndef LIMBECK_DIFFUSION_F_WEIGHTS_HPP
#define LIMBECK_DIFFUSION_F_WEIGHTS_HPP

/// @file
/// f-distill: distribution matching for any f-divergence, by a weight a row.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/diffusion/ratio_bins.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// A divergence D_f(data || generated) = E_generated f(r) of the ratio r = p_data/p_generated, by its f and by h(r) = f''(r) r^2.
enum class f_divergence {
  reverse_kl,           ///< f = -log r, h = 1: distribution matching as it is
  softened_reverse_kl,  ///< f = (1 + r) log((1 + r)/(2 r)), h = 1/(1 + r)
  jensen_shannon,       ///< f = r log r - (1 + r) log((1 + r)/2), h = r/(1 + r): twice the Jensen-Shannon divergence
  squared_hellinger,    ///< f = 2 (1 - sqrt r)^2, h = sqrt r
  forward_kl,           ///< f = r log r, h = r
  jeffreys,             ///< f = (r - 1) log r, h = 1 + r: the sum of both KL
  neyman                ///< f = 1/(2 r) - 1/2, h = 1/r: half of Neyman's chi squared
};

/// h(r) = f''(r) r^2, which the gradient of D_f has where that of the reverse KL has 1: by a parameter of the generator
/// it is E h(r) (score of generated - score of data) dx/dparameter.
/// @param f the divergence
/// @param r a ratio of densities, positive
inline double f_weight(f_divergence f, double r) {
  switch (f) {
    case f_divergence::reverse_kl: return 1;
    case f_divergence::softened_reverse_kl: return 1 / (1 + r);
    case f_divergence::jensen_shannon: return r / (1 + r);
    case f_divergence::squared_hellinger: return std::sqrt(r);
    case f_divergence::forward_kl: return r;
    case f_divergence::jeffreys: return 1 + r;
    case f_divergence::neyman: return 1 / r;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// What `f_weights` takes beside vectors.
struct f_weights_options {
  f_divergence divergence = f_divergence::jensen_shannon;  ///< which
  double lowest = 0.1;                                     ///< the least a ratio counts as, positive
  double highest = 20;                                     ///< the most, at least that
};

/// @cond
namespace detail {
inline void check_ratios(const any_vector& r, const f_weights_options& options) {
  if (!(options.lowest > 0 && options.lowest <= options.highest && options.highest < 1e300))
    raise<value_error>("limbeck: lowest and highest of f_weights are " + show(options.lowest) + " and " + show(options.highest) +
                       ", expected finite numbers, 0 < lowest <= highest");
  for (std::size_t i = 0; i < r.size(); ++i)
    if (const double x = r.number(i); !(x >= 0))
      raise<value_error>("limbeck: ratio " + std::to_string(i) + " is " + show(x) + ", expected a number of at least 0");
}
inline double clipped_ratio(double r, const f_weights_options& options) {
  return r < options.lowest ? options.lowest : r > options.highest ? options.highest : r;
}
/// out = h(ratio(row))/mean.
template <class Out, class F>
void write_f_weights(const Out& out, std::size_t n, f_divergence f, const F& ratio) {
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) total += f_weight(f, ratio(i));
  for (std::size_t i = 0; i < n; ++i) put(out, i, f_weight(f, ratio(i)) * static_cast<double>(n) / total);
}
}  // namespace detail
/// @endcond

/// Weights of rows that turn distribution matching into another divergence: h(r) of the clipped ratios, over their mean.
///
/// They are a factor of the loss: `given(w) * specified_gradient{}` with `distribution_matching(x, real, fake)`. Ratios and
/// weights are held fixed. The mean is that of the rows given: of the whole batch, before it is cut into micro-batches. For
/// `reverse_kl` all weights are 1.
/// @param options as above
/// @param ratios r = p_data/p_generated of each row, as a critic's logits say (`density_ratio`), a vector of numbers
/// @param out the weights, a vector of as many; it may be @p ratios
/// O(rows), without allocation. @throws shape_error where sizes differ; value_error where a bound is out of range, or naming the
///   row where a ratio is negative or NaN; then nothing is written. A ratio may be 0 or infinite, as it is clipped.
///
/// Xu, Nie and Vahdat, One-step Diffusion Models with f-Divergence Distribution Matching (f-distill), 2025, arXiv:2502.15681,
/// after the authors' code, which adds 1e-6 to both divisors; neither can be 0 here, as clipped ratios
/// are positive, and so is the average of every bin that has one.
template <class Ratios, class Out>
void f_weights(const Ratios& ratios, Out&& out, const f_weights_options& options = {}) {
  const any_vector r = detail::view_vector(ratios);
  const auto to = detail::output_vector("out", out, r.size());
  detail::check_ratios(r, options);
  detail::write_f_weights(to, r.size(), options.divergence,
                          [&](std::size_t i) { return detail::clipped_ratio(r.number(i), options); });
}
/// The same with each clipped ratio over the average of its level, which this batch moves first: `f_weights(r, times, bins, w)`.
///
/// @param ratios of densities, at least 0, one a row
/// @param out where it is written
/// @param options as above
/// @param times the time of each row, a vector of numbers
/// @param bins the averages, part of what a run saves
/// @throws as the other; shape_error where there is not one time a row, value_error naming the row where one is NaN. Then @p bins
///   are as they were.
template <class Ratios, class Times, class Out>
void f_weights(const Ratios& ratios, const Times& times, ratio_bins& bins, Out&& out, const f_weights_options& options = {}) {
  const any_vector r = detail::view_vector(ratios), t = detail::view_vector(times);
  const auto to = detail::output_vector("out", out, r.size());
  detail::check_ratios(r, options);
  bins.check(t, r.size());
  bins.move(t, [&](std::size_t i) { return detail::clipped_ratio(r.number(i), options); });
  detail::write_f_weights(to, r.size(), options.divergence,
                          [&](std::size_t i) { return detail::clipped_ratio(r.number(i), options) / bins.mean_at(t.number(i)); });
}

LIMBECK_END_NAMESPACE

#endif
