#ifndef LIMBECK_DIFFUSION_CONTINUOUS_CONSISTENCY_HPP
#define LIMBECK_DIFFUSION_CONTINUOUS_CONSISTENCY_HPP

/// @file
/// Consistency in continuous time (sCM): the student's derivative along the teacher's path is to be 0. On the trigonometric path, where
/// f = cos t x_t - sin t d F(x_t/d, t).

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What a tangent is taken with.
template <schedule S = constant>
struct tangent_options {
  S warm_up = constant(1);  ///< r, the share of the derivative, from 0 to 1: a number or a schedule
  double normaliser = 0.1;  ///< c, at least 0, added to the length that the tangent is divided by
};
/// @cond
template <number N>
tangent_options(N, double) -> tangent_options<decltype(as_schedule(std::declval<N>()))>;
template <number N>
tangent_options(N) -> tangent_options<decltype(as_schedule(std::declval<N>()))>;
/// @endcond

/// F + g/(|g| + c); made by `continuous_consistency` and `consistency_tangent`.
template <bool Added, class Levels, class S, class F, class V, class J, class X>
struct tangent_target : detail::formula<tangent_target<Added, Levels, S, F, V, J, X>, F, V, J, X> {
  Levels at;          ///< of the rows
  S warm_up;          ///< r
  double normaliser;  ///< c

  /// @cond
  template <class T, class RF, class RV, class RJ, class RX>
  struct reader {
    RF f;
    RV v;
    RJ j;
    RX x;
    detail::team_array<T, 4> c;
    T by;
    template <class Here>
    LIMBECK_INLINE auto raw(const Here& here) const {
      using N = typename Here::number;
      return N(c.v[0]) * here(f) + N(c.v[1]) * here(v) + N(c.v[2]) * here(j) + N(c.v[3]) * here(x);
    }
    template <class Here>
    LIMBECK_INLINE auto read(const Here& here) const {
      using N = typename Here::number;
      const N g = N(by) * raw(here);
      if constexpr (Added) {
        return here(f) + g;
      } else {
        return g;
      }
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto of = this->sources.open(r, memory_);
    auto made = reader_of<T>(of.first, of.rest.first, of.rest.rest.first, of.rest.rest.rest.first);
    const double t = at.time_of(r.index), d = at.path.deviation, s = std::sin(t), k = std::cos(t), w = detail::at_progress(warm_up, r);
    made.c = {{static_cast<T>(-k * k * d), static_cast<T>(k * k), static_cast<T>(-w * d), static_cast<T>(-w * k * s)}};
    const double square = detail::sum_formula<T>(r.team, r.out.size(), [&](const auto& here) LIMBECK_LAMBDA_INLINE {
      const auto g = made.raw(here);
      return g * g;
    });
    const double length = std::sqrt(square) + normaliser;
    made.by = static_cast<T>(length > 0 ? 1 / length : square == 0 ? 0 : square);  // a NaN stays one
    return made;
  }
  auto settled(double p) const { return settled_with(this->sources.settled(p), constant(warm_up(p))); }

 private:
  template <class T, class RF, class RV, class RJ, class RX>
  LIMBECK_HOST_DEVICE static reader<T, RF, RV, RJ, RX> reader_of(const RF& f, const RV& v, const RJ& j, const RX& x) {
    return {f, v, j, x, {}, T(0)};
  }
  template <class... Settled>
  auto settled_with(const detail::source_list<Settled...>& s, constant w) const {
    return tangent_target<Added, Levels, constant, Settled...>{{s}, at, w, normaliser};
  }
  /// @endcond
};

namespace detail {

template <bool Added, class L, class S, class F, class V, class J, class X>
auto tangent(const L& at, const tangent_options<S>& o, F&& f, V&& v, J&& j, X&& x) {
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(at.path)>, trigonometric>,
                "limbeck: consistency in continuous time is on the trigonometric path: levels(trigonometric{d}, t)");
  check_constant("warm_up", o.warm_up, 0, 1, "a number from 0 to 1");
  if (!(o.normaliser >= 0 && o.normaliser < 1e300))
    raise<value_error>("limbeck: normaliser is " + show(o.normaliser) + ", expected a finite number of at least 0");
  const auto made = [&](const auto&... s) {
    check_sources("a tensor of continuous consistency", s...);
    using Target = tangent_target<Added, L, S, std::remove_cvref_t<decltype(s)>...>;
    return checked_levels(at, Target{{list_of(s...)}, at, o.warm_up, o.normaliser});
  };
  return made(as_target(std::forward<F>(f)), as_target(std::forward<V>(v)), as_target(std::forward<J>(j)), as_target(std::forward<X>(x)));
}

template <class Levels>
struct direction_numbers {
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 1> operator()(std::size_t row, double) const {
    const double t = at.time_of(row);
    return {{std::cos(t) * std::sin(t) / at.path.deviation}};
  }
};
template <class Levels>
struct input_numbers {
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 1> operator()(std::size_t, double) const { return {{1 / at.path.deviation}}; }
};
/// @p weight, or where it is 0 that of the rows at hand.
inline double weight_of_batch(double weight, double here) {
  if (!(weight >= 0 && weight - weight == 0))
    raise<value_error>("limbeck: weight is " + show(weight) + ", expected a finite number of at least 0");
  return weight > 0 ? weight : here;
}

}  // namespace detail

/// The tangent g/(|g| + c) of each row, g = -cos^2 t (d F - v) - r (cos t sin t x_t + d J): cos t times the derivative of
/// cos t x_t - sin t d F along the path where r = 1. It is 0 where the student is consistent.
///
/// @param f F, what the student gave at (x_t/d, t), samples x dimensions
/// @param velocity v = dx_t/dt, the teacher's (of TrigFlow, d times what its network gives), guided or not
/// @param jvp J, the derivative of F in the direction `tangent_directions` says: cos t sin t times its derivative along the path
/// @param noisy x_t
/// @param at `levels(trigonometric{d}, t)`
/// @param options warm-up and normaliser
/// All are held fixed. O(samples x dimensions), two passes over a row. @throws shape_error where shapes differ or there is not one time a
/// row; value_error for options out of range.
///
/// Lu and Song, Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models, 2024, arXiv:2410.11081, algorithm 1.
template <class F, class V, class J, class X, row_levels L, schedule S = constant>
auto consistency_tangent(F&& f, V&& velocity, J&& jvp, X&& noisy, const L& at, const tangent_options<S>& options = {}) {
  return detail::tangent<false>(at, options, std::forward<F>(f), std::forward<V>(velocity), std::forward<J>(jvp), std::forward<X>(noisy));
}

/// F + g/(|g| + c), the target of sCM for the student's F; parameters and errors as `consistency_tangent`.
///
/// The objective is `given(w) * mse{}` of F against it, with `continuous_consistency_weights`. F within the target, v, J and x_t are held
/// fixed, so that at the point itself the gradient by F is -2 w g/(|g| + c)/dimensions.
///
/// Lu and Song, 2024, arXiv:2410.11081; Chen et al., SANA-Sprint: One-Step Diffusion with Continuous-Time Consistency Distillation, 2025,
/// arXiv:2503.09641, with its code.
template <class F, class V, class J, class X, row_levels L, schedule S = constant>
auto continuous_consistency(F&& f, V&& velocity, J&& jvp, X&& noisy, const L& at, const tangent_options<S>& options = {}) {
  return detail::tangent<true>(at, options, std::forward<F>(f), std::forward<V>(velocity), std::forward<J>(jvp), std::forward<X>(noisy));
}

/// What a `jvp` is asked with: the student's inputs x_t/d and t, and how they move, cos t sin t v/d and cos t sin t.
///
///     tangent_directions<float> along;
///     const auto [f, j] = along(jvp, x_t, v, at);  // jvp(x, dx, times, dt): F there and its derivative in that direction
///     objective(f, continuous_consistency(f, v, j, x_t, at), into(g));
///
/// Holds the memory of the inputs. Host only.
template <class T>
class tangent_directions {
 public:
  /// What `jvp(x, dx, times, dt)` gives: x and dx are `rows<const T>`, times and dt `std::span<const double>`, valid during the call.
  /// @param jvp the callable
  /// @param noisy x_t, samples x dimensions
  /// @param velocity a tensor or target; @param at `levels(trigonometric{d}, t)` @throws shape_error as `consistency_tangent`.
  template <class Jvp, class V, row_levels L>
  decltype(auto) operator()(Jvp&& jvp, const rows<const T>& noisy, V&& velocity, const L& at) {
    const std::size_t n = noisy.samples;
    x_.resize(n * noisy.classes), dx_.resize(n * noisy.classes), times_.resize(n), dt_.resize(n);
    const rows<T> x(x_.data(), n, noisy.classes), dx(dx_.data(), n, noisy.classes);
    fill(detail::checked_levels(at, detail::combined("x_t", detail::input_numbers<L>{at}, noisy)), x);
    fill(detail::checked_levels(at, detail::combined("the velocity", detail::direction_numbers<L>{at}, std::forward<V>(velocity))), dx);
    for (std::size_t r = 0; r < n; ++r) times_[r] = at.time_of(r), dt_[r] = std::cos(times_[r]) * std::sin(times_[r]);
    return std::forward<Jvp>(jvp)(rows<const T>(x_.data(), n, noisy.classes), rows<const T>(dx_.data(), n, noisy.classes),
                                  std::span<const double>(times_), std::span<const double>(dt_));
  }

 private:
  std::vector<T> x_, dx_;
  std::vector<double> times_, dt_;
};

/// w_r = e^{-u_r}/(d tan t_r), the weights of sCM: a prior, and a log variance u that is learned. On the host.
///
/// @param at `levels(trigonometric{d}, t)`, t positive: the weight grows without bound towards 0. At pi/2 it is 0, nearly
/// @param log_variances u, one a row, held fixed here
/// @param out one a row
/// @throws shape_error where a length does not fit; value_error naming the row where t is not positive. Then @p out is as it was.
template <row_levels L, detail::sized_memory U, detail::sized_memory Out>
void continuous_consistency_weights(const L& at, const U& log_variances, Out&& out) {
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(at.path)>, trigonometric>,
                "limbeck: consistency in continuous time is on the trigonometric path: levels(trigonometric{d}, t)");
  const any_vector u = detail::view_vector(log_variances);
  detail::check_levels(at, u.size());
  const auto w = detail::output_vector("out", out, u.size());
  for (std::size_t r = 0; r < u.size(); ++r)
    if (!(at.time_of(r) > 0))
      raise<value_error>("limbeck: time " + std::to_string(r) + " is " + detail::show(at.time_of(r)) +
                         ", expected a positive number: the weight is infinite where there is no noise");
  for (std::size_t r = 0; r < u.size(); ++r) {
    const double t = (std::fmin)(at.time_of(r), at.path.last());  // levels() lets a time be a little later
    detail::put(w, r, std::exp(-u.number(r)) / (at.path.deviation * std::tan(t)));
  }
}

/// The gradient by u of the weighted mean of l_r + u_r, where l_r = w_r m_r with w_r proportional to e^{-u_r}: v_r (1 - l_r)/n. On the host.
///
/// @param losses l, one a row, what `row_losses` of the call gave
/// @param row_weights v, one a row, those of the call; 0 where the call's `row_mask` leaves a row out. Such a row has the gradient 0
/// @param out one a row
/// @param weight n, the weight of the whole batch; 0 is the sum of v
/// The whole loss is that of the call and the mean of u with the same weights and mask. @throws shape_error where a length does not fit;
/// value_error where a weight is negative or not finite, naming its row, or n is 0. Then @p out is as it was.
///
/// Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models, 2023, arXiv:2312.02696; as sCM and SANA-Sprint use it.
template <detail::sized_memory Losses, detail::sized_memory Weights, detail::sized_memory Out>
void log_variance_gradient(const Losses& losses, const Weights& row_weights, Out&& out, double weight = 0) {
  const any_vector l = detail::view_vector(losses), v = detail::view_vector(row_weights);
  if (v.size() != l.size()) detail::throw_length("row_weights", v.size(), l.size());
  const auto g = detail::output_vector("out", out, l.size());
  const double n = detail::weight_of_batch(weight, [&] {
    double total = 0;
    for (std::size_t r = 0; r < l.size(); ++r) {
      if (!(v.number(r) >= 0 && v.number(r) < 1e300))
        raise<value_error>("limbeck: row_weights is " + detail::show(v.number(r)) + " at row " + std::to_string(r) +
                           ", expected a finite number that is not negative");
      total += v.number(r);
    }
    return total;
  }());
  if (!(n > 0)) raise<value_error>("limbeck: row_weights sum to 0; there is no mean");
  for (std::size_t r = 0; r < l.size(); ++r) detail::put(g, r, v.number(r) > 0 ? v.number(r) * (1 - l.number(r)) / n : 0.0);
}
/// The same where all rows weigh 1: (1 - l_r)/n, n the number of rows where @p weight is 0.
template <detail::sized_memory Losses, detail::sized_memory Out>
void log_variance_gradient(const Losses& losses, Out&& out, double weight = 0) {
  const any_vector l = detail::view_vector(losses);
  const auto g = detail::output_vector("out", out, l.size());
  const double n = detail::weight_of_batch(weight, static_cast<double>(l.size()));
  for (std::size_t r = 0; r < l.size(); ++r) detail::put(g, r, (1 - l.number(r)) / n);
}

LIMBECK_END_NAMESPACE

#endif
