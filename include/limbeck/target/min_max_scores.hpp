#ifndef LIMBECK_TARGET_MIN_MAX_SCORES_HPP
#define LIMBECK_TARGET_MIN_MAX_SCORES_HPP

/// @file
/// Scores of teachers that count in different units, made comparable.

#include <limbeck/target/row_functions.hpp>

LIMBECK_BEGIN_NAMESPACE

/// scale (t - min t)/(max t - min t + 1e-6); made by `min_max_scores`.
template <class Source>
struct min_max_target : detail::one_source<Source> {
  double scale;  ///< of the best
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return min_max_target<decltype(inner)>{{inner}, scale};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    detail::fill_from(this->source, r);
    T low = detail::infinite<T>, high = -detail::infinite<T>;
    detail::for_own<T>(r.team, r.out.size(), [&](std::size_t c) {
      const T x = r.out[c];
      if (x > high) high = x;
      if (x < low && x > -detail::infinite<T>) low = x;
    });
    const auto ends = r.team.highest(detail::team_array<T, 2>{{high, -low}});
    high = ends.v[0], low = -ends.v[1];
    const T factor = static_cast<T>(scale) / (high - low + T(1e-6));
    if (!(high >= low)) return;  // all masked, or NaN: comes through
    detail::for_own<T>(r.team, r.out.size(), [&](std::size_t c) { r.out[c] = (r.out[c] - low) * factor; });
  }
};

/// A teacher's scores in a row, from 0 for the worst to @p scale for the best: `scale (t - min t)/(max t - min t +
/// 1e-6)`.
///
/// Unchanged where a teacher's scores are shifted or scaled (up to the 1e-6). Masked candidates (-inf) stay masked and
/// do not count. `mean_of_logits(min_max_scores(a), min_max_scores(b))` is the ensemble by which Geng et al., Towards
/// Competitive Search Relevance for Inference-Free Learned Sparse Retrievers, 2024, arXiv:2411.04403, join dense and
/// sparse retrievers over a list of candidates (checked against the authors' code). @throws value_error where scale is
/// not positive.
template <class X>
auto min_max_scores(X&& teacher, double scale = 30) {
  detail::check_positive("scale", constant(scale));
  return min_max_target<detail::target_of<X>>{{detail::as_target(std::forward<X>(teacher))}, scale};
}

LIMBECK_END_NAMESPACE

#endif
