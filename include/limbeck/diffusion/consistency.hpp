#ifndef LIMBECK_DIFFUSION_CONSISTENCY_HPP
#define LIMBECK_DIFFUSION_CONSISTENCY_HPP

/// @file
/// Consistency models: f(x_t, t) is the sample at the end of the path that x_t is on. What a network F gives becomes f by two numbers of
/// the time, f = c_skip x_t + c_out F, so that f is the identity where the path ends.

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cmath>
#include <concepts>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// How much of f is the noised sample, and how much the network's.
struct consistency_scale {
  double skip = 0;  ///< c_skip
  double out = 1;   ///< c_out
};

/// c_skip = d^2/((t - e)^2 + d^2), c_out = (t - e) d/sqrt(t^2 + d^2) on the path `edm`: f(x, e) = x.
///
/// Song, Dhariwal, Chen and Sutskever, Consistency Models, 2023, arXiv:2303.01469, appendix C.
struct edm_boundary {
  double deviation = 0.5;   ///< of the data, d, positive
  double smallest = 0.002;  ///< e, where paths end
  /// At time t.
  LIMBECK_HOST_DEVICE consistency_scale operator()(double t) const {
    const double d = deviation, s = t - smallest;
    return {d * d / (s * s + d * d), s * d / std::sqrt(t * t + d * d)};
  }
  using path = edm;  ///< of the times
};
/// c_skip = d^2/(s^2 + d^2), c_out = s/sqrt(s^2 + d^2) with s = scaling t, for networks whose prediction was made a clean sample first
/// (`to_clean`). Beyond the first steps c_skip is nearly 0. Of any path.
///
/// Luo, Tan, Huang, Li and Zhao, Latent Consistency Models, 2023, arXiv:2310.04378, with its code's numbers; its t is the number of
/// the step of 1000: on a path of [0, 1] the scaling is 10000.
struct latent_boundary {
  double deviation = 0.5;  ///< of the data, d, positive
  double scaling = 10;     ///< of the time
  /// At time t.
  LIMBECK_HOST_DEVICE consistency_scale operator()(double t) const {
    const double s = scaling * t, square = s * s + deviation * deviation;
    return {deviation * deviation / square, s / std::sqrt(square)};
  }
};
/// c_skip = 1, c_out = -t: the straight line along a velocity on the path `rectified`, f = x_t - t F, which is its own boundary.
struct straight_boundary {
  /// At time t.
  LIMBECK_HOST_DEVICE consistency_scale operator()(double t) const { return {1, -t}; }
  using path = rectified;  ///< of the times
};
/// c_skip = cos t, c_out = -sin t on the path `trigonometric`, for velocities: f = cos t x_t - sin t v.
///
/// Lu and Song, Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models, 2024, arXiv:2410.11081, with v = d F.
struct trigonometric_boundary {
  /// At time t.
  LIMBECK_HOST_DEVICE consistency_scale operator()(double t) const { return {std::cos(t), -std::sin(t)}; }
  using path = trigonometric;  ///< of the times
};
/// c_skip = (t u + d^2)/(t^2 + d^2), c_out = (t - u) d/sqrt(t^2 + d^2): from time t to any other time u, either way, and the
/// identity at u = t.
///
/// Li and He, Bidirectional Consistency Models, 2024, arXiv:2403.18035, with its code; u = 0 is EDM's own preconditioning.
struct bidirectional_boundary {
  double deviation = 0.5;  ///< of the data, d, positive
  /// From t to u.
  LIMBECK_HOST_DEVICE consistency_scale operator()(double t, double u) const {
    const double square = t * t + deviation * deviation;
    return {(t * u + deviation * deviation) / square, (t - u) * deviation / std::sqrt(square)};
  }
  using path = edm;  ///< of both times
};

/// A boundary of one time. Where it holds on one path alone, its member type `path` names it, and times on another do not compile.
template <class B>
concept consistency_boundary = std::is_trivially_copyable_v<B> && requires(const B& b, double t) {
  { b(t) } -> std::same_as<consistency_scale>;
};
/// A boundary between two times; `path` as above.
template <class B>
concept consistency_bridge = std::is_trivially_copyable_v<B> && requires(const B& b, double t) {
  { b(t, t) } -> std::same_as<consistency_scale>;
};

namespace detail {

template <class B, class... L>
constexpr void require_path_of_boundary() {
  if constexpr (requires { typename B::path; })
    static_assert((std::is_same_v<std::remove_cvref_t<decltype(L::path)>, typename B::path> && ...),
                  "limbeck: this boundary of a consistency model is of the path that its `path` names, and the times are on another");
}
template <class B, class Levels>
struct boundary_numbers {
  B boundary;
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const consistency_scale c = boundary(at.time_of(row));
    return {{c.out, c.skip}};
  }
};
template <class B, class Levels>
struct boundary_slope {
  B boundary;
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 1> operator()(std::size_t row, double) const { return {{boundary(at.time_of(row)).out}}; }
};
/// A bridge whose second time is known.
template <class B, class To>
struct bridge_numbers {
  B bridge;
  To to;
  template <class Levels>
  struct numbers {
    bridge_numbers of;
    Levels at;
    LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
      const consistency_scale c = of.bridge(at.time_of(row), of.to.time_of(row));
      return {{c.out, c.skip}};
    }
  };
  template <class Levels>
  struct slope {
    bridge_numbers of;
    Levels at;
    LIMBECK_HOST_DEVICE team_array<double, 1> operator()(std::size_t row, double) const {
      return {{of.bridge(at.time_of(row), of.to.time_of(row)).out}};
    }
  };
};

}  // namespace detail

/// f = c_skip x_t + c_out F: the end of the path, as the network says it.
///
/// @param boundary `edm_boundary`, `latent_boundary`, `straight_boundary`, `trigonometric_boundary`, or any `consistency_boundary`
/// @param prediction F, what the network gave at @p noisy: of `latent_boundary` a clean sample, else the network's own form
/// @param noisy x_t, samples x dimensions
/// @param at the times, `levels(path, t)`, on the boundary's path
/// A target. O(samples x dimensions). @throws shape_error where shapes differ or there is not one time a row.
template <consistency_boundary B, class P, class X, row_levels L>
auto consistency_sample(const B& boundary, P&& prediction, X&& noisy, const L& at) {
  detail::require_path_of_boundary<B, L>();
  return detail::checked_levels(at, detail::combined("the samples of consistency_sample", detail::boundary_numbers<B, L>{boundary, at},
                                                     std::forward<P>(prediction), std::forward<X>(noisy)));
}
/// The same from the time of @p at to that of @p to, by a `consistency_bridge`.
template <consistency_bridge B, class P, class X, row_levels L, row_levels To>
auto consistency_sample(const B& boundary, P&& prediction, X&& noisy, const L& at, const To& to) {
  detail::require_path_of_boundary<B, L, To>();
  using Numbers = typename detail::bridge_numbers<B, To>::template numbers<L>;
  const auto f = detail::combined("the samples of consistency_sample", Numbers{{boundary, to}, at}, std::forward<P>(prediction),
                                  std::forward<X>(noisy));
  return detail::checked_levels(to, detail::checked_levels(at, f));
}
/// c_out g: the gradient by F, of @p gradient by f. The way back of `consistency_sample`, for a network's `backward`.
template <consistency_boundary B, class G, row_levels L>
auto consistency_slope(const B& boundary, G&& gradient, const L& at) {
  detail::require_path_of_boundary<B, L>();
  return detail::checked_levels(at, detail::combined("consistency_slope", detail::boundary_slope<B, L>{boundary, at},
                                                     std::forward<G>(gradient)));
}
/// The same between two times.
template <consistency_bridge B, class G, row_levels L, row_levels To>
auto consistency_slope(const B& boundary, G&& gradient, const L& at, const To& to) {
  detail::require_path_of_boundary<B, L, To>();
  using Numbers = typename detail::bridge_numbers<B, To>::template slope<L>;
  return detail::checked_levels(to, detail::checked_levels(at, detail::combined("consistency_slope", Numbers{{boundary, to}, at},
                                                                                std::forward<G>(gradient))));
}

LIMBECK_END_NAMESPACE

#endif
