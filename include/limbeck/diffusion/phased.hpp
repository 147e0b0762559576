#ifndef LIMBECK_DIFFUSION_PHASED_HPP
#define LIMBECK_DIFFUSION_PHASED_HPP

/// @file
/// Distribution matching within a part of the noise levels, where the generator gives samples that are still noised: x_s at a level (a, s).
/// They are noised further by `renoised(x_s, z, at, to)`, to x_t at (a', s'); r = a'/a, and v = sqrt(s'^2 - r^2 s^2) is how much of that
/// noise is new.

#include <limbeck/diffusion/steps.hpp>
#include <limbeck/diffusion/weighted_difference.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class Kind, class Levels, class To>
struct phased_numbers {
  Kind kind;
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const noise_level s = at(row), t = to(row);
    const double fresh = renoising<Levels, To>{at, to}(row, 0).v[1];
    const prediction_form f = kind.form(t, to.slope(row));
    const double clean = s.noise == 0 ? 0 : t.signal * s.noise * s.noise / (s.signal * s.signal * fresh);
    return {{f.clean / s.signal, f.noise * t.noise / fresh - f.clean * clean}};
  }
};
template <class Kind, class Levels, class To>
struct phased_difference {
  Kind kind;
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE double operator()(std::size_t row, double) const {
    const noise_level t = to(row);
    return t.signal / (at(row).signal * t.noise) * noise_in(kind, t, to.slope(row));
  }
};

}  // namespace detail

/// What the denoiser of generated samples is trained to predict at x_t, where only x_s is known: p x~ + q e~, of which
///
///     e~ = (s'/v) z,   x~ = x_s/a - (a' s^2/(a^2 v)) z,
///
/// have the means of the noise and the clean sample given x_t. (p x_s + q z, as if x_s were clean, has another mean: a denoiser
/// that learns it is biased.) At a = 1, s = 0 it is `denoising_target`.
///
/// It is the teacher's side of a regression, weighed by `phased_weights`: `given(w) * mse{}`. Held fixed: x_s and z.
/// @param kind what the denoiser predicts, p x + q e
/// @param x_s generated samples at the level @p at, samples x dimensions
/// @param z the noise of x_t = renoised(x_s, z, at, to), of the same shape
/// @param at,to `levels(path, s)` and `levels(path, t)`, with more noise at the second
/// A target. A row without more noise is not finite, which the call that reads it reports. O(samples x dimensions).
/// @throws shape_error where shapes differ or there is not one time a row.
///
/// Phased DMD: Few-step Distribution Matching Distillation via Score Matching within Subintervals, 2025, arXiv:2510.27684; of rectified
/// flow and velocities it is its target (s' + a' s^2/a^2)/v z - x_s/a.
template <prediction_kind Kind, class X, class Z, row_levels L, row_levels To>
auto phased_target(const Kind& kind, X&& x_s, Z&& z, const L& at, const To& to) {
  return detail::checked_step(at, to, detail::combined("the noise of phased_target", detail::phased_numbers<Kind, L, To>{kind, at, to},
                                                       std::forward<X>(x_s), std::forward<Z>(z)));
}

/// The gradient of Phased DMD by generated samples x_s: (a'/a) (score of generated x_t - score of data), which is that of
/// KL(generated x_t || data x_t) by x_s where the fake is exact. In velocities of rectified flow it is the paper's a' r/(a' s' + s'^2)
/// (teacher - fake).
///
/// The loss that reads it is `specified_gradient`. Held fixed: both predictions.
/// @param kind of both predictions; x_t cancels, and is not read
/// @param real,fake what the teacher and the denoiser of generated samples predict at x_t, samples x dimensions
/// @param at,to as in `phased_target`
/// O(samples x dimensions); errors as `variational_score`, which it is with `kl_weight` where x_s is clean. What is released as a
/// trainer normalises instead: `distribution_matching` of the clean samples that x_s comes from.
///
/// Phased DMD, 2025, arXiv:2510.27684.
template <prediction_kind Kind, class Real, class Fake, row_levels L, row_levels To>
auto phased_matching(const Kind& kind, Real&& real, Fake&& fake, const L& at, const To& to) {
  return detail::checked_step(at, to, detail::weighted("fake of phased_matching", detail::phased_difference<Kind, L, To>{kind, at, to},
                                                       std::forward<Real>(real), std::forward<Fake>(fake)));
}

/// What `phased_weights` takes beside the levels.
struct phased_weights_options {
  double highest = 10;  ///< where 1/v^2 is cut, positive
};

/// The weights of the regression to `phased_target`: w = v^2 min(1/v^2, highest), at most 1, small where x_t is hardly noisier than x_s
/// and z is nearly all of the target. Written to @p out, one number a row, for `given(out) * mse{}`.
///
/// @param options as above
/// @param at,to as in `phased_target`, with times on the host
/// @param out any vector of numbers on the host, one a row
/// @throws shape_error where there is not one time a row; value_error naming the row, before anything is written, where there is not
///         more noise at @p to, or where `highest` is not positive. O(rows).
///
/// Phased DMD, 2025, arXiv:2510.27684: clamp(1/v^2, 0, 10) of v times the prediction. A released trainer has w = 1, the plain mean.
template <row_levels L, row_levels To, class Out>
void phased_weights(const L& at, const To& to, Out&& out, const phased_weights_options& options = {}) {
  static_assert(std::is_same_v<typename L::memory, host_rows> && std::is_same_v<typename To::memory, host_rows>,
                "limbeck: phased_weights reads its times on the host, and they live on a device");
  if (!(options.highest > 0))
    raise<value_error>("limbeck: highest of phased_weights is " + detail::show(options.highest) + ", expected a positive number");
  const auto w = detail::vector_memory(out);
  detail::check_levels(at, w.size), detail::check_levels(to, w.size);
  const auto fresh = [&](std::size_t r) { return detail::renoising<L, To>{at, to}(r, 0).v[1]; };
  for (std::size_t r = 0; r < w.size; ++r)
    if (!(fresh(r) > 0))
      raise<value_error>("limbeck: phased_weights goes from time " + detail::show(at.time_of(r)) + " to time " + detail::show(to.time_of(r)) +
                         " in row " + std::to_string(r) + ", expected one of more noise");
  for (std::size_t r = 0; r < w.size; ++r) detail::put(w, r, (std::min)(1.0, options.highest * fresh(r) * fresh(r)));
}

LIMBECK_END_NAMESPACE

#endif
