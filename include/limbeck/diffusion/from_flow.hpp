#ifndef LIMBECK_DIFFUSION_FROM_FLOW_HPP
#define LIMBECK_DIFFUSION_FROM_FLOW_HPP

/// @file
/// A network of rectified flow as one of the trigonometric path, without training.

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cmath>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// The time of rectified flow with the signal-to-noise ratio of trigonometric time @p t, for data divided by its deviation:
/// s = sin t/(sin t + cos t).
LIMBECK_HOST_DEVICE inline double flow_time(double t) { return std::sin(t) / (std::sin(t) + std::cos(t)); }

namespace detail {

template <class Levels>
struct flow_input_numbers {
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 1> operator()(std::size_t row, double) const {
    const double s = flow_time(at.time_of(row));
    return {{std::sqrt(s * s + (1 - s) * (1 - s)) / at.path.deviation}};
  }
};
template <class Levels>
struct from_flow_numbers {
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const double s = flow_time(at.time_of(row)), square = s * s + (1 - s) * (1 - s);  // 1 - 2s + 2s^2
    return {{at.path.deviation * std::sqrt(square), 1 - 2 * s}};
  }
};
template <class L>
constexpr void require_trigonometric() {
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(std::declval<const L&>().path)>, trigonometric>,
                "limbeck: flow_input and velocity_from_flow are for levels of the trigonometric path: levels(trigonometric{d}, t)");
}

}  // namespace detail

/// x_t/(d k), k = 1/sqrt(s^2 + (1 - s)^2): what a network of rectified flow is given at time s = `flow_time(t)`, for data
/// divided by its deviation d.
///
/// @param noisy x_t on the trigonometric path, samples x dimensions
/// @param at `levels(trigonometric{d}, t)`
/// A target. @throws shape_error where there is not one time a row. Source as `velocity_from_flow`.
template <class X, row_levels L>
auto flow_input(X&& noisy, const L& at) {
  detail::require_trigonometric<L>();
  return detail::checked_levels(at, detail::combined("flow_input", detail::flow_input_numbers<L>{at}, std::forward<X>(noisy)));
}
/// The velocity dx_t/dt on the trigonometric path, of the velocity v that a network of rectified flow gave at `flow_input` and `flow_time`:
/// d k ((1 - 2s) x_t/(d k) + (1 - 2s + 2s^2) v).
///
/// @param flow v, samples x dimensions; @param noisy x_t on the trigonometric path; @param at `levels(trigonometric{d}, t)`
/// A target; where v is exact, so is it. O(samples x dimensions). @throws shape_error where shapes differ or there is not one time a row.
///
/// Chen et al., SANA-Sprint: One-Step Diffusion with Continuous-Time Consistency Distillation, 2025, arXiv:2503.09641, as d F of its F.
template <class V, class X, row_levels L>
auto velocity_from_flow(V&& flow, X&& noisy, const L& at) {
  detail::require_trigonometric<L>();
  return detail::checked_levels(at, detail::combined("the samples of velocity_from_flow", detail::from_flow_numbers<L>{at}, std::forward<V>(flow),
                                                     std::forward<X>(noisy)));
}

LIMBECK_END_NAMESPACE

#endif
