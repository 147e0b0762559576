#ifndef LIMBECK_DIFFUSION_STEPS_HPP
#define LIMBECK_DIFFUSION_STEPS_HPP

/// @file
/// Steps of samplers, from the level of noise where samples are to another one: formulas, as everything here, so that a step may stand
/// within an objective. x^ and e^ are the clean sample and the noise that a prediction at x_t says; (a, s) is the level where x_t is, (a', s')
/// the one where it goes.

#include <limbeck/core/errors.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cmath>
#include <limits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// What `ddim` takes beside its tensors.
struct ddim_options {
  double eta = 1;  ///< how much of the noise is new, at least 0: 0 is the deterministic step, 1 the ancestral one
};

namespace detail {

/// The root of 1 - x where x in [0, 1] was computed with rounding; NaN where x is larger.
LIMBECK_HOST_DEVICE inline double root_of_rest(double x) {
  return x <= 1 ? std::sqrt(1 - x) : x < 1 + 1e-12 ? 0.0 : std::numeric_limits<double>::quiet_NaN();
}
/// v = eta s' sqrt(1 - (a s'/(a' s))^2), at most s'; NaN where the step goes to more noise.
LIMBECK_HOST_DEVICE inline double new_noise(double eta, const noise_level& from, const noise_level& to) {
  if (eta == 0 || to.noise == 0) return 0;
  const double kept = from.signal != 0 ? from.signal * to.noise / (to.signal * from.noise) : to.signal != 0 ? 0 : to.noise / from.noise;
  const double v = eta * to.noise * root_of_rest(kept * kept);
  return v > to.noise ? to.noise : v;
}
template <class From, class Levels, class To>
struct stochastic_movement {
  From from;
  Levels at;
  To to;
  double eta;
  LIMBECK_HOST_DEVICE team_array<double, 3> operator()(std::size_t row, double) const {
    const noise_level l = at(row), there = to(row);
    const double v = new_noise(eta, l, there), rest = std::sqrt((there.noise - v) * (there.noise + v));
    const auto moved = by_forms(from.form(l, at.slope(row)), l, {there.signal, rest});
    return {{moved.v[0], moved.v[1], v}};
  }
};
template <class Levels, class To>
struct renoising {
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const noise_level l = at(row), there = to(row);
    const double by = there.signal == l.signal ? 1 : there.signal / l.signal, kept = by * l.noise;
    return {{by, there.noise == kept ? 0.0 : there.noise * root_of_rest(kept * kept / (there.noise * there.noise))}};
  }
};
template <class From, class Levels, class To>
struct euler_movement {
  From from;
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE auto operator()(std::size_t row, double) const {
    const noise_level l = at(row), slope = at.slope(row);
    const double h = to.time_of(row) - at.time_of(row);
    return by_forms(from.form(l, slope), l, {l.signal + h * slope.signal, l.noise + h * slope.noise});
  }
};
template <class From, class Levels, class To>
struct heun_movement {
  From from;
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE team_array<double, 4> operator()(std::size_t row, double) const {
    const noise_level l = at(row), slope = at.slope(row), there = to(row), slope_there = to.slope(row);
    const double half = 0.5 * (to.time_of(row) - at.time_of(row));
    const auto first = by_forms(from.form(l, slope), l, {l.signal + half * slope.signal, l.noise + half * slope.noise});
    const auto second = by_forms(from.form(there, slope_there), there, {half * slope_there.signal, half * slope_there.noise});
    return {{first.v[0], first.v[1], second.v[0], second.v[1]}};
  }
};
template <class Levels, class To, class Formula>
Formula checked_step(const Levels& at, const To& to, const Formula& f) {
  return checked_levels(to, checked_levels(at, f));
}

}  // namespace detail

/// The deterministic step of DDIM: a' x^ + s' e^, exact where x^ and e^ do not change on the way. It goes either way: towards noise it
/// is DDIM's inversion.
///
/// @param kind what @p prediction is, `predicts_noise` and the like
/// @param prediction what the network gave at @p noisy
/// @param noisy x_t, samples x dimensions
/// @param at,to where the samples are and where they go, `levels(path, times)`; the paths may be two
/// A target: give it to a call in the place of a teacher, or write it by `fill`. A row at no noise is not finite unless the prediction says the
/// noise. O(samples x dimensions). @throws shape_error where shapes differ or there is not one time a row.
///
/// Song, Meng and Ermon, Denoising Diffusion Implicit Models, 2021, arXiv:2010.02502, eq. 12 with sigma = 0.
template <prediction_kind Kind, class P, class X, row_levels L, row_levels To>
auto ddim(const Kind& kind, P&& prediction, X&& noisy, const L& at, const To& to) {
  return detail::checked_step(at, to, detail::combined("the samples of ddim", detail::movement<Kind, L, To>{kind, at, to},
                                                       std::forward<P>(prediction), std::forward<X>(noisy)));
}

/// The stochastic step of DDIM: a' x^ + sqrt(s'^2 - v^2) e^ + v z, where v = eta s' sqrt(1 - (a s'/(a' s))^2), at most s'. On a path
/// that preserves variance v is the paper's eta sqrt((1 - a'^2)/(1 - a^2)) sqrt(1 - a^2/a'^2). Where x^ and e^ are those that made
/// x_t, the step has the level (a', s') for every eta; eta = 1 is the step of the ancestral sampler (DDPM's).
///
/// @param kind,prediction,noisy,at,to as in the other `ddim`
/// @param z new noise of the normal distribution, of the shape of @p noisy, held fixed
/// @param options eta
/// A step towards more noise is not finite where eta is positive: see `renoised`.
/// @throws value_error where eta is negative or not finite; else as the other.
///
/// Song, Meng and Ermon, 2021, arXiv:2010.02502, eq. 12 and 16. Several such steps are the stochastic segment of SCott (Liu et al., 2024,
/// arXiv:2403.01505).
template <prediction_kind Kind, class P, class X, row_levels L, row_levels To, class Z>
auto ddim(const Kind& kind, P&& prediction, X&& noisy, const L& at, const To& to, Z&& z, const ddim_options& options = {}) {
  if (!(options.eta >= 0 && options.eta - options.eta == 0))
    raise<value_error>("limbeck: eta of ddim is " + detail::show(options.eta) + ", expected a finite number of at least 0");
  return detail::checked_step(
      at, to, detail::combined("the samples of ddim", detail::stochastic_movement<Kind, L, To>{kind, at, to, options.eta},
                               std::forward<P>(prediction), std::forward<X>(noisy), std::forward<Z>(z)));
}

/// More noise on samples that have some: (a'/a) x_t + sqrt(s'^2 - (a'/a)^2 s^2) z, which is x at the level (a', s') where x_t was x
/// at (a, s). Clean samples get theirs by `noised`.
///
/// @param noisy x_t, samples x dimensions; @param z new noise of its shape; @param at,to where the samples are and where they go
/// A row that goes to less noise is not finite. @throws shape_error where shapes differ or there is not one time a row.
template <class X, class Z, row_levels L, row_levels To>
auto renoised(X&& noisy, Z&& z, const L& at, const To& to) {
  return detail::checked_step(
      at, to, detail::combined("the noise of renoised", detail::renoising<L, To>{at, to}, std::forward<X>(noisy), std::forward<Z>(z)));
}

/// Euler's step on the probability flow ODE dx/dt = a'(t) x^ + s'(t) e^, the path's slopes: x_t + h (that at t), h the time between. On
/// straight paths (`edm`, `rectified`) it is `ddim`. The path's slope must be finite where the step begins.
///
/// Parameters and errors as `ddim`; @p at and @p to are of one path. The local error is O(h^2), the global one O(h).
/// Song et al., Score-Based Generative Modeling through Stochastic Differential Equations, 2021, arXiv:2011.13456, eq. 13.
template <prediction_kind Kind, class P, class X, row_levels L, row_levels To>
auto euler(const Kind& kind, P&& prediction, X&& noisy, const L& at, const To& to) {
  static_assert(std::is_same_v<decltype(L::path), decltype(To::path)>, "limbeck: a step of euler is along one path, and two were given");
  return detail::checked_step(at, to, detail::combined("the samples of euler", detail::euler_movement<Kind, L, To>{kind, at, to},
                                                       std::forward<P>(prediction), std::forward<X>(noisy)));
}

/// Heun's step on the same ODE: x_t + h/2 (its slope at t + its slope at t'), the second at what Euler's step gave. The global error
/// is O(h^2). There is no second slope at no noise: the last step of a sampler is Euler's.
///
/// @param kind,prediction,noisy,at,to as in `euler`
/// @param prediction_there what the network gave at @p arrived
/// @param arrived the samples after `euler` of the same step
/// Karras, Aittala, Aila and Laine, Elucidating the Design Space of Diffusion-Based Generative Models, 2022, arXiv:2206.00364, algorithm 1.
template <prediction_kind Kind, class P, class X, row_levels L, row_levels To, class Q, class Y>
auto heun(const Kind& kind, P&& prediction, X&& noisy, const L& at, const To& to, Q&& prediction_there, Y&& arrived) {
  static_assert(std::is_same_v<decltype(L::path), decltype(To::path)>, "limbeck: a step of heun is along one path, and two were given");
  return detail::checked_step(at, to, detail::combined("the samples of heun", detail::heun_movement<Kind, L, To>{kind, at, to},
                                                       std::forward<P>(prediction), std::forward<X>(noisy), std::forward<Q>(prediction_there),
                                                       std::forward<Y>(arrived)));
}

LIMBECK_END_NAMESPACE

#endif
