#ifndef LIMBECK_TARGET_LABEL_MIX_HPP
#define LIMBECK_TARGET_LABEL_MIX_HPP

/// @file
/// A teacher mixed with something that is known: the label, or ignorance.

#include <limbeck/target/row_functions.hpp>

LIMBECK_BEGIN_NAMESPACE

/// alpha y + (1 - alpha) p; made by `label_mixed`.
template <class Source, schedule A, schedule S>
struct label_mixed_target : detail::one_source<Source> {
  static constexpr bool needs_labels = true;
  A alpha;        ///< share of the label
  S temperature;  ///< of the term
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return label_mixed_target<decltype(inner), constant, constant>{{inner}, constant(alpha(at)), constant(temperature(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    detail::fill_from(this->source, r);
    const double a = detail::at_progress(alpha, r);
    const T t = detail::target_temperature(temperature, r);
    if (!(a >= 0 && a <= 1)) return detail::spoil(r);
    if (r.label < 0 || a == 0) return;
    const auto y = static_cast<std::size_t>(r.label);
    const auto s = detail::exponentials_of(r.team, r.out.data(), r.out.size(), T(1) / t, nullptr);
    if (y >= r.out.size() || !s.proper()) return detail::spoil(r, s.maximum);
    const T rest = static_cast<T>(std::log1p(-a));  // -inf where the label is all
    const T shift = s.maximum + t * std::log(s.sum);
    detail::for_own<T>(r.team, r.out.size(), [&](std::size_t c) { r.out[c] = (r.out[c] - shift) + t * rest; });
    if (detail::owns<T>(r.team, r.out.size(), y)) r.out[y] = t * detail::log_add(r.out[y] / t, static_cast<T>(std::log(a)));
  }
};

/// (1 - epsilon) p + epsilon/C; made by `smoothed`.
template <class Source, schedule E, schedule S>
struct smoothed_target : detail::one_source<Source> {
  E epsilon;      ///< share of the uniform distribution
  S temperature;  ///< of the term
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return smoothed_target<decltype(inner), constant, constant>{{inner}, constant(epsilon(at)), constant(temperature(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    detail::fill_from(this->source, r);
    const double share = detail::at_progress(epsilon, r);
    const std::size_t n = r.out.size();
    const T t = detail::target_temperature(temperature, r);
    if (!(share >= 0 && share <= 1)) return detail::spoil(r);
    if (share == 0) return;
    const auto s = detail::exponentials_of(r.team, r.out.data(), n, T(1) / t, r.out.data());
    if (!s.proper()) return detail::spoil(r, s.maximum);
    const T scale = static_cast<T>(1 - share) / s.sum, floor = static_cast<T>(share / static_cast<double>(n));
    detail::for_own<T>(r.team, n, [&](std::size_t c) { r.out[c] = r.out[c] * scale + floor; });
    detail::scaled_logarithm(r.team, r.out.data(), n, t, r.out.data());
  }
};

/// The teacher's probabilities mixed with the label's: alpha [i = y] + (1 - alpha) softmax(t/T)_i.
///
/// @param teacher tensor or target
/// @param alpha share of the label, in [0, 1], a constant or a schedule; 1 is the label alone, all else masked
/// @param temperature T, which has to be the term's. Rows without a label keep the teacher's row.
/// @throws value_error where a constant is outside its range.
/// Borup and Andersen, Even your Teacher Needs Guidance, 2021, arXiv:2102.13088, whose self-distillation trains step k
/// on alpha y + (1 - alpha) f_{k-1}; see `optimal_label_share` for alpha.
template <class X, number A, number N = double>
auto label_mixed(X&& teacher, const A& alpha, const N& temperature = 1) {
  auto a = as_schedule(alpha);
  auto t = as_schedule(temperature);
  detail::check_constant("the share of the label", a, 0, 1, "a number in [0, 1]");
  detail::check_positive("the temperature of label_mixed", t);
  return label_mixed_target<detail::target_of<X>, decltype(a), decltype(t)>{
      {detail::as_target(std::forward<X>(teacher))}, std::move(a), std::move(t)};
}

/// The teacher's probabilities smoothed: (1 - epsilon) softmax(t/T)_i + epsilon/C, masked classes included.
///
/// @param teacher tensor or target
/// @param epsilon in [0, 1], a constant or a schedule
/// @param temperature T, which has to be the term's
/// @throws value_error where a constant is outside its range.
/// The smoothing of Szegedy et al., 2016, arXiv:1512.00567, applied to soft labels.
template <class X, number E, number N = double>
auto smoothed(X&& teacher, const E& epsilon, const N& temperature = 1) {
  auto e = as_schedule(epsilon);
  auto t = as_schedule(temperature);
  detail::check_constant("epsilon", e, 0, 1, "a number in [0, 1]");
  detail::check_positive("the temperature of smoothed", t);
  return smoothed_target<detail::target_of<X>, decltype(e), decltype(t)>{
      {detail::as_target(std::forward<X>(teacher))}, std::move(e), std::move(t)};
}

/// The alpha of `label_mixed` that fits validation data best, by least squares:
/// <g_y - g_f, y - g_f> / ||g_y - g_f||^2, where g_y are the validation predictions of a model fitted to the labels,
/// g_f those of one fitted to the previous model's predictions, and y the validation labels as probabilities, all
/// samples x classes.
///
/// Exact where predictions are linear in the targets (kernel regression); not clamped, so it can leave [0, 1]. Borup
/// and Andersen, 2021, arXiv:2102.13088, state such a closed form; this one is derived here, theirs was not at hand to
/// compare.
/// @throws shape_error where shapes differ, value_error where g_y and g_f are the same.
template <tensor Y, tensor F, tensor V>
double optimal_label_share(const Y& fitted_to_labels, const F& fitted_to_predictions, const V& labels) {
  detail::require_host<Y, F, V>();
  const auto g = tensor_traits<Y>::view(fitted_to_labels);
  const auto f = tensor_traits<F>::view(fitted_to_predictions);
  const auto y = tensor_traits<V>::view(labels);
  if (f.samples != g.samples || f.classes != g.classes)
    detail::throw_shape("fitted_to_predictions", f.samples, f.classes, g.samples, g.classes);
  if (y.samples != g.samples || y.classes != g.classes)
    detail::throw_shape("labels", y.samples, y.classes, g.samples, g.classes);
  double product = 0, square = 0;
  for (std::size_t r = 0; r < g.samples; ++r)
    for (std::size_t c = 0; c < g.classes; ++c) {
      const double d = static_cast<double>(g(r, c)) - static_cast<double>(f(r, c));
      product += d * (static_cast<double>(y(r, c)) - static_cast<double>(f(r, c)));
      square += d * d;
    }
  if (!(square > 0))
    raise<value_error>("limbeck: the two fits do not differ, so no share of the label is better than another");
  return product / square;
}

LIMBECK_END_NAMESPACE

#endif
