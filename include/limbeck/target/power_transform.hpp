#ifndef LIMBECK_TARGET_POWER_TRANSFORM_HPP
#define LIMBECK_TARGET_POWER_TRANSFORM_HPP

/// @file
/// Transformed teacher matching: the teacher's probabilities to a power, the student untempered.

#include <limbeck/core/executor.hpp>
#include <limbeck/target/row_functions.hpp>

#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// p^gamma, normalised; made by `power_transformed`.
template <class Source, schedule S>
struct power_target : detail::one_source<Source> {
  S gamma;  ///< positive
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return power_target<decltype(inner), constant>{{inner}, constant(gamma(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    const T g = detail::target_temperature(gamma, r);  // positive too
    detail::fill_from(this->source, r);
    detail::for_own<T>(r.team, r.out.size(), [&](std::size_t c) { r.out[c] *= g; });
  }
};

/// The teacher's probabilities to the power gamma, normalised: p_i^gamma / sum_j p_j^gamma, which is softmax(gamma t).
///
/// @param teacher tensor or target
/// @param gamma positive, a constant or a schedule; below 1 it flattens. A temperature of 1/gamma on the teacher's side
/// alone.
/// @throws value_error where a constant gamma is not positive.
/// `forward_kl` at temperature 1 on it is TTM: KL(p^gamma || softmax(s)), gradient q - p^gamma, no T^2. Times the row
/// weights of `wttm_row_weights` it is WTTM. Zheng and Yang, Knowledge Distillation Based on Transformed Teacher
/// Matching, 2024, arXiv:2402.11148 (checked against the authors' code).
template <class X, number N>
auto power_transformed(X&& teacher, const N& gamma) {
  auto g = as_schedule(gamma);
  detail::check_positive("gamma", g);
  return power_target<detail::target_of<X>, decltype(g)>{{detail::as_target(std::forward<X>(teacher))}, std::move(g)};
}

namespace detail {
inline void check_gamma(double gamma) {
  if (!(gamma > 0 && gamma - gamma == 0))
    raise<value_error>("limbeck: gamma is " + show(gamma) + ", expected a positive number");
}
}  // namespace detail

/// WTTM's weight of each row, U = sum_i p_i^gamma with p = softmax(t): large where the teacher is smooth, 1 at gamma
/// = 1.
///
/// WTTM is the mean over rows of U KL(p^gamma || q), which is `given(u) * forward_kl{}` on `power_transformed(teacher,
/// gamma)`.
/// @param teacher tensor of samples x classes
/// @param gamma the power, positive
/// @param out one number a row, float or double
/// @throws shape_error where out has another length, value_error where gamma is not positive or a row has no softmax.
template <tensor X, detail::sized_memory Out>
void wttm_row_weights(const X& teacher, double gamma, Out&& out) {
  detail::require_host<X>();
  using T = typename tensor_traits<X>::scalar;
  const rows<const T> view = tensor_traits<X>::view(teacher);
  detail::check_gamma(gamma);
  const auto to = detail::vector_memory(out);
  if (to.size != view.samples) detail::throw_length("out", to.size, view.samples);
  std::vector<T> row(view.classes);
  for (std::size_t r = 0; r < view.samples; ++r) {
    for (std::size_t c = 0; c < view.classes; ++c) row[c] = view(r, c);
    const auto p = detail::exponentials_of<T>(row.data(), row.size(), T(1), nullptr);
    const auto powers = detail::exponentials_of<T>(row.data(), row.size(), static_cast<T>(gamma), nullptr);
    if (!p.proper() || !powers.proper())
      detail::throw_no_softmax("teacher", r);
    // sum exp(gamma (t - max)) / (sum exp(t - max))^gamma
    detail::put(to, r, static_cast<double>(powers.sum) * std::pow(static_cast<double>(p.sum), -gamma));
  }
}

LIMBECK_END_NAMESPACE

#endif
