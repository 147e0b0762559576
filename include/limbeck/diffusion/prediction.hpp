#ifndef LIMBECK_DIFFUSION_PREDICTION_HPP
#define LIMBECK_DIFFUSION_PREDICTION_HPP

/// @file
/// What networks predict of a noised sample x_t = a x + s e, and how one prediction becomes another. Every one is a linear form
/// p x + q e of the clean sample and the noise; with x_t, a second form, it says all of them:
///
///     r x + u e = alpha (p x + q e) + beta x_t,   alpha = (r s - u a)/(p s - q a),   beta = (p u - q r)/(p s - q a).
///
/// So are the steps of deterministic samplers: the sample at another level (a', s') is the form of these numbers.

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/path.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

/// p x + q e.
struct prediction_form {
  double clean = 1;  ///< p
  double noise = 0;  ///< q
};

/// The clean sample x.
struct predicts_clean {
  /// At a level, and the slopes of the path there.
  LIMBECK_HOST_DEVICE static prediction_form form(const noise_level&, const noise_level&) { return {1, 0}; }
};
/// The noise e.
struct predicts_noise {
  /// At a level, and the slopes of the path there.
  LIMBECK_HOST_DEVICE static prediction_form form(const noise_level&, const noise_level&) { return {0, 1}; }
};
/// The score of the noised density, -e/s.
struct predicts_score {
  /// At a level, and the slopes of the path there.
  LIMBECK_HOST_DEVICE static prediction_form form(const noise_level& at, const noise_level&) { return {0, -1 / at.noise}; }
};
/// The velocity of the path, a' x + s' e: of rectified flow e - x, of the trigonometric path cos t z - sin t x.
struct predicts_velocity {
  /// At a level, and the slopes of the path there.
  LIMBECK_HOST_DEVICE static prediction_form form(const noise_level&, const noise_level& slope) { return {slope.signal, slope.noise}; }
};
/// v = a e - s x of Salimans and Ho, Progressive Distillation for Fast Sampling of Diffusion Models, 2022, arXiv:2202.00512: the
/// velocity by the angle of (a, s), on a path that preserves variance.
struct predicts_v {
  /// At a level, and the slopes of the path there.
  LIMBECK_HOST_DEVICE static prediction_form form(const noise_level& at, const noise_level&) { return {-at.noise, at.signal}; }
};
/// F of EDM's preconditioning, x = c_skip x_t + c_out F with c_skip = a d^2/(a^2 d^2 + s^2), c_out = s d/sqrt(a^2 d^2 + s^2) and d the
/// deviation of the data (arXiv:2206.00364, table 1, at a = 1). On the trigonometric path of the same deviation it is minus
/// TrigFlow's F, which is `predicts_velocity` divided by d.
struct predicts_f {
  double deviation = 0.5;  ///< of the data, d, positive
  /// At a level, and the slopes of the path there.
  LIMBECK_HOST_DEVICE prediction_form form(const noise_level& at, const noise_level&) const {
    const double root = std::sqrt(at.signal * at.signal * deviation * deviation + at.noise * at.noise);
    return {at.noise / (deviation * root), -at.signal * deviation / root};
  }
};

/// A kind of prediction.
template <class P>
concept prediction_kind = std::is_trivially_copyable_v<P> && requires(const P& p, noise_level at) {
  { p.form(at, at) } -> std::same_as<prediction_form>;
};

namespace detail {

/// (alpha, beta) of the file's comment; (alpha, 0) where one form is a multiple of the other, which needs no x_t and holds at a signal of 0
/// or no noise too.
LIMBECK_HOST_DEVICE inline team_array<double, 2> by_forms(const prediction_form& from, const noise_level& at, const prediction_form& to) {
  const double apart = from.clean * to.noise - from.noise * to.clean;
  if (apart == 0) return {{from.noise != 0 ? to.noise / from.noise : to.clean / from.clean, 0}};
  const double by = from.clean * at.noise - from.noise * at.signal;
  return {{(to.clean * at.noise - to.noise * at.signal) / by, apart / by}};
}
template <class From, class To, class Levels>
struct conversion {
  From from;
  To to;
  Levels at;
  LIMBECK_HOST_DEVICE auto operator()(std::size_t row, double) const {
    const noise_level l = at(row), slope = at.slope(row);
    return by_forms(from.form(l, slope), l, to.form(l, slope));
  }
};
template <class From, class Levels, class To>
struct movement {
  From from;
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE auto operator()(std::size_t row, double) const {
    const noise_level l = at(row), there = to(row);
    return by_forms(from.form(l, at.slope(row)), l, {there.signal, there.noise});
  }
};
template <class Levels>
struct noising {
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const noise_level l = at(row);
    return {{l.signal, l.noise}};
  }
};
template <class Levels, class Formula>
Formula checked_levels(const Levels& at, const Formula& f) {
  static_assert(std::is_same_v<typename Levels::memory, typename Formula::memory> || std::is_same_v<typename Levels::memory, host_rows>,
                "limbeck: the times live on a device, the tensors on the host");
  if (!at.times.empty()) {
    if constexpr (!std::is_same_v<typename Levels::memory, typename Formula::memory>)
      raise<value_error>("limbeck: the times live on the host, the tensors on a device; copy them there");
    check_levels(at, f.samples());
  }
  return f;
}

}  // namespace detail

/// x_t = a x + s e: samples with noise, at the level of each row.
///
/// @param x clean samples, a tensor or target, samples x dimensions
/// @param e the noise, of the same shape
/// @param at `levels(path, t)`
/// A target: give it to a call in the place of a teacher, or write it by `fill(noised(x, e, at), x_t)`. O(samples x dimensions).
/// @throws shape_error where shapes differ or there is not one time a row.
template <class X, class E, row_levels L>
auto noised(X&& x, E&& e, const L& at) {
  return detail::checked_levels(at, detail::combined("the noise of noised", detail::noising<L>{at}, std::forward<X>(x), std::forward<E>(e)));
}

/// A prediction as another: `converted(predicts_velocity{}, predicts_clean{}, v, x_t, at)`.
///
/// @param from,to kinds of prediction: `predicts_clean`, `predicts_noise`, `predicts_score`, `predicts_velocity`, `predicts_v`,
///        `predicts_f`, or any `prediction_kind`
/// @param prediction what the network gave at @p noisy
/// @param noisy the noised samples x_t
/// @param at their levels
/// Where x_t and the prediction say the same (the noise at a signal of 0, the clean sample at no noise), another one cannot be
/// had: the row is not finite, which the call that reads it reports. Errors as `noised`.
template <prediction_kind From, prediction_kind To, class P, class X, row_levels L>
auto converted(const From& from, const To& to, P&& prediction, X&& noisy, const L& at) {
  return detail::checked_levels(at, detail::combined("the samples of converted", detail::conversion<From, To, L>{from, to, at},
                                                     std::forward<P>(prediction), std::forward<X>(noisy)));
}
/// The clean samples that a prediction says, `converted` to `predicts_clean`.
template <prediction_kind From, class P, class X, row_levels L>
auto to_clean(const From& from, P&& prediction, X&& noisy, const L& at) {
  return converted(from, predicts_clean{}, std::forward<P>(prediction), std::forward<X>(noisy), at);
}
/// The noise that a prediction says, `converted` to `predicts_noise`.
template <prediction_kind From, class P, class X, row_levels L>
auto to_noise(const From& from, P&& prediction, X&& noisy, const L& at) {
  return converted(from, predicts_noise{}, std::forward<P>(prediction), std::forward<X>(noisy), at);
}

LIMBECK_END_NAMESPACE

#endif
