#ifndef LIMBECK_DIFFUSION_TWIN_FLOW_HPP
#define LIMBECK_DIFFUSION_TWIN_FLOW_HPP

/// @file
/// TwinFlow: a flow model F(x_t, t, u) of any step, from time t to time u, that is its own teacher, and at negative times the model of what
/// it generates itself. x_t = |t| z + (1 - |t|) x, x^ = x_t - |t| F.
///
/// Cheng, Sun, Li and Lin, TwinFlow: Realizing One-step Generation on Large Models with Self-adversarial Flows, 2025,
/// arXiv:2512.05150; all as in its code.

#include <limbeck/core/random.hpp>
#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/path.hpp>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What a row of a batch of TwinFlow learns.
enum class twin_role {
  one_step,   ///< from noise to the sample: t = 1, u = 0
  near_step,  ///< to a time just before t
  any_step,   ///< to any time before t
  fake        ///< of generated samples: both times are -t
};

/// The role of a row: the batch is four quarters in the order of `twin_role`, the last one what is left.
/// @param row below @p rows; @param rows of the whole batch, at least 4
inline twin_role twin_role_of(std::size_t row, std::size_t rows) {
  const auto quarter = static_cast<std::size_t>(std::nearbyint(static_cast<double>(rows) / 4));
  const std::size_t which = row / (quarter > 0 ? quarter : 1);
  return static_cast<twin_role>(which < 3 ? which : 3);
}

/// The times of a batch by the roles of its rows: of one_step 1 and 0; near_step keeps t, u = t - min(0.05, ratio) t U; any_step keeps t,
/// u = t - ratio t U; fake -t and -t, U uniform in [0, 1).
///
/// @param stream for U, split by row
/// @param t drawn by the caller, uniform in (0, 1) in the paper, in (0, 1] here: 0 has no sign that says it is a generated one's;
/// overwritten where the role says so
/// @param until u, written
/// @param ratio of how far any_step goes, in (0, 1]
/// @throws shape_error where lengths differ or there are less than 4 rows; value_error naming the row where a time is not in (0, 1], or
/// for a ratio that is not. Then both are as they were.
inline void twin_flow_times(const random_stream& stream, std::span<double> t, std::span<double> until, double ratio = 1) {
  if (until.size() != t.size()) detail::throw_length("until", until.size(), t.size());
  if (t.size() < 4)
    raise<shape_error>("limbeck: twin_flow_times has " + std::to_string(t.size()) + " rows, expected at least 4, one a role");
  if (!(ratio > 0 && ratio <= 1))
    raise<value_error>("limbeck: ratio of twin_flow_times is " + detail::show(ratio) + ", expected a number in (0, 1]");
  for (std::size_t r = 0; r < t.size(); ++r)
    if (!(t[r] > 0 && t[r] <= 1))
      raise<value_error>("limbeck: time " + std::to_string(r) + " is " + detail::show(t[r]) + ", expected a number in (0, 1]");
  for (std::size_t r = 0; r < t.size(); ++r) {
    const double u = stream.split(r).uniform();
    switch (twin_role_of(r, t.size())) {
      case twin_role::one_step: t[r] = 1, until[r] = 0; break;
      case twin_role::near_step: until[r] = t[r] - (ratio < 0.05 ? ratio : 0.05) * t[r] * u; break;
      case twin_role::any_step: until[r] = t[r] - ratio * t[r] * u; break;
      default: t[r] = -t[r], until[r] = t[r];
    }
  }
}

/// The weight of a row: tan((1 - (|t| - |u|)) pi/2.5) + 1, and 1 of generated samples (t below 0). On the host.
/// @throws shape_error where lengths differ.
template <detail::sized_memory Out>
void twin_flow_weights(std::span<const double> t, std::span<const double> until, Out&& out) {
  if (until.size() != t.size()) detail::throw_length("until", until.size(), t.size());
  const auto w = detail::output_vector("out", out, t.size());
  for (std::size_t r = 0; r < t.size(); ++r)
    detail::put(w, r, t[r] < 0 ? 1.0 : std::tan((1 - (std::fabs(t[r]) - std::fabs(until[r]))) * (std::numbers::pi / 2.5)) + 1);
}

/// w(m) of a row whose mean squared error is m: ((m/(c^2 + 1e-8))/|a - 2| + 1)^((a - 2)/2)/c, the weight that makes the gradient of
/// mse proportional to that of the general robust loss rho of a whole row: w times the gradient of m is 2c times that of rho, but for the
/// 1e-8. A function for signals, and so held fixed:
///
///     objective{mse{}}.value(f, target, row_losses(m));
///     objective(map(robust_weight{}, given(m)) * mse{})(f, target, into(g));
///
/// Barron, A General and Adaptive Robust Loss Function, 2019, arXiv:1701.03077, as TwinFlow's code reweighs by it.
struct robust_weight {
  double alpha = 1;     ///< shape a, at most 2, where all weights are 1/c
  double scale = 1e-3;  ///< c, positive
  /// Of a row whose loss is m.
  LIMBECK_HOST_DEVICE double operator()(double m) const {
    const double b = std::fabs(alpha - 2);
    return (b < 1e-5 ? 1 : std::pow(m / (scale * scale + 1e-8) / b + 1, (alpha - 2) / 2)) / scale;
  }
};

/// What `recursive_target` takes beside its tensors.
struct recursive_options {
  double step = 0.01;  ///< of the first, true velocity, positive
  double limit = 1;    ///< of each element of the difference, positive
};

namespace detail {

template <class N>
LIMBECK_INLINE N held(const N& x, typename N::scalar limit) {
  return select(x > N(limit), N(limit), select(x < N(-limit), N(-limit), x));  // a NaN stays one
}
template <class Formula>
constexpr void require_host_formula() {
  static_assert(std::is_same_v<typename Formula::memory, host_rows>,
                "limbeck: the times of TwinFlow are on the host, and these tensors live on a device; copy them to the host");
}
inline void require_limit(const char* name, double x) {
  if (!(x > 0 && x < 1e300)) raise<value_error>(std::string("limbeck: ") + name + " is " + show(x) + ", expected a positive, finite number");
}

// Rules of rows. Where a branch leaves a prediction out, it is whatever the model said there.
struct twin_guidance {
  const double* t;  // of rows
  double ratio;
  template <class T>
  struct function {
    T by;
    bool guided;
    template <class N>
    LIMBECK_INLINE N operator()(const N& velocity, const N& with, const N& without) const {
      return guided ? velocity + N(by) * (with - without) : velocity;
    }
  };
  template <class T>
  LIMBECK_HOST_DEVICE function<T> of(std::size_t r) const {
    return {static_cast<T>(ratio), t[r] > 0 && t[r] < 1};
  }
};
struct twin_recursion {
  const double *t, *until;  // of rows
  recursive_options options;
  template <class T>
  struct function {
    T left, right, limit;
    bool fake;
    template <class N>
    LIMBECK_INLINE N operator()(const N& own, const N& walked, const N& velocity) const {
      return fake ? velocity : own - held(N(left) * own - N(right) * walked - velocity, limit);
    }
  };
  template <class T>
  LIMBECK_HOST_DEVICE function<T> of(std::size_t r) const {
    const double gap = t[r] - until[r];
    const bool close = t[r] < until[r] + options.step;
    return {static_cast<T>(close ? 1 : gap / options.step), static_cast<T>(close ? 1 / gap : 1 / options.step),
            static_cast<T>(options.limit), t[r] < 0};
  }
};
struct twin_matching {
  double limit;
  template <class T>
  struct function {
    T limit;
    template <class N>
    LIMBECK_INLINE N operator()(const N& own, const N& fake, const N& real) const {
      return own - held(fake - real, limit);
    }
  };
  template <class T>
  LIMBECK_HOST_DEVICE function<T> of(std::size_t) const {
    return {static_cast<T>(limit)};
  }
};

}  // namespace detail

/// v + ratio (F_with - F_without) on rows with 0 < t < 1, and v on the others, whatever both predictions are there: a velocity that has
/// its guidance in it.
///
/// @param velocity v = z - x, samples x dimensions
/// @param with,without what the averaged model gave at (x_t, t, t) with the condition and without
/// @param t one a row, kept by view
/// @param ratio 0.5 in the code
/// A target, held fixed. O(samples x dimensions). Host only. @throws shape_error where shapes differ.
template <class V, class A, class B>
auto guided_velocity(V&& velocity, A&& with, B&& without, std::span<const double> t, double ratio = 0.5) {
  auto target_ = detail::by_rule("a prediction of guided_velocity", detail::twin_guidance{t.data(), ratio}, std::forward<V>(velocity),
                                 std::forward<A>(with), std::forward<B>(without));
  detail::require_host_formula<decltype(target_)>();
  if (t.size() != target_.samples()) detail::throw_length("t", t.size(), target_.samples());
  return target_;
}

/// The recursive consistency target: F - clamp(c_l F - c_r G - v, -1, 1), with (c_l, c_r) = ((t - u)/h, 1/h), or (1, 1/(t - u)) where
/// t < u + h; G is the way of the averaged model from x_t - h v at time t - h to u (`recursive_walk`). Where F is the mean velocity
/// from t to u, (t - u) F - G is h v, and the target is F. Rows of generated samples (t below 0) have the target v.
///
/// @param f what the student gives, samples x dimensions
/// @param walked G
/// @param velocity v, guided or not
/// @param t,until one a row, kept by view
/// @param options h and the limit
/// A target, all of it held fixed. O(samples x dimensions). Host only. A row with t = u > -1 that is no generated one is not finite.
/// @throws shape_error where shapes differ; value_error where an option is not positive.
///
/// The RCGM estimate of TwinFlow's code.
template <class F, class G, class V>
auto recursive_target(F&& f, G&& walked, V&& velocity, std::span<const double> t, std::span<const double> until,
                      const recursive_options& options = {}) {
  detail::require_limit("step of recursive_target", options.step), detail::require_limit("limit of recursive_target", options.limit);
  auto target_ = detail::by_rule("a tensor of recursive_target", detail::twin_recursion{t.data(), until.data(), options},
                                 std::forward<F>(f), std::forward<G>(walked), std::forward<V>(velocity));
  detail::require_host_formula<decltype(target_)>();
  if (t.size() != target_.samples()) detail::throw_length("t", t.size(), target_.samples());
  if (until.size() != target_.samples()) detail::throw_length("until", until.size(), target_.samples());
  return target_;
}

/// Walks a model of any step: G = sum_i F(x_i, t_i, t_{i+1}) (t_i - t_{i+1}) over equal steps from max(t - h, u) to u, x_0 = x_t - h v and
/// x_{i+1} = x_i - (t_i - t_{i+1}) F. Rows of generated samples (t below 0) do not move.
///
/// Holds the memory of the samples. Host only.
template <class T>
class recursive_walk {
 public:
  /// @param h the step in time, positive
  /// @param steps N, at least 1; 2 in the code @throws value_error where there is none, or h is not positive
  explicit recursive_walk(std::size_t steps = 2, double h = recursive_options{}.step) : steps_(steps), h_(h) {
    if (steps == 0) raise<value_error>("limbeck: steps of recursive_walk is 0, expected at least 1");
    detail::require_limit("h of recursive_walk", h);
  }
  /// G, until the next call.
  /// @param model the averaged one, `d(x, times, until)`, a tensor @param noisy x_t, samples x dimensions
  /// @param velocity v, of its shape @param t,until one a row
  /// N calls of the model. @throws shape_error where shapes differ, that of what the model gives too.
  template <class Model>
  rows<const T> operator()(Model&& model, const rows<const T>& noisy, const rows<const T>& velocity, std::span<const double> t,
                           std::span<const double> until) {
    const std::size_t n = noisy.samples, m = noisy.classes;
    if (velocity.samples != n || velocity.classes != m) detail::throw_shape("velocity", velocity.samples, velocity.classes, n, m);
    if (t.size() != n) detail::throw_length("t", t.size(), n);
    if (until.size() != n) detail::throw_length("until", until.size(), n);
    x_.resize(n * m), way_.assign(n * m, T(0)), now_.resize(n), next_.resize(n);
    for (std::size_t r = 0; r < n; ++r) {
      next_[r] = std::fmax(t[r] - h_, until[r]);
      const T step = static_cast<T>(t[r] < 0 ? 0 : h_);
      for (std::size_t c = 0; c < m; ++c) x_[r * m + c] = noisy(r, c) - step * velocity(r, c);
    }
    const rows<const T> here(x_.data(), n, m), out(way_.data(), n, m);
    for (std::size_t k = 1; k <= steps_; ++k) {
      now_ = next_;
      for (std::size_t r = 0; r < n; ++r) {
        const double part = static_cast<double>(k) / static_cast<double>(steps_), from = std::fmax(t[r] - h_, until[r]);
        next_[r] = k == steps_ ? until[r] : from * (1 - part) + until[r] * part;
      }
      auto&& prediction = model(here, std::span<const double>(now_), std::span<const double>(next_));
      detail::require_host<decltype(prediction)>();
      const auto f = tensor_traits<std::remove_cvref_t<decltype(prediction)>>::view(prediction);
      if (f.samples != n || f.classes != m) detail::throw_shape("a prediction of the model", f.samples, f.classes, n, m);
      for (std::size_t r = 0; r < n; ++r) {
        const T step = static_cast<T>(t[r] < 0 ? 0 : now_[r] - next_[r]);
        for (std::size_t c = 0; c < m; ++c) {
          const T move = step * f(r, c);
          x_[r * m + c] -= move, way_[r * m + c] += move;
        }
      }
    }
    return out;
  }

 private:
  std::size_t steps_;
  double h_;
  std::vector<T> x_, way_;
  std::vector<double> now_, next_;
};

/// F - clamp(F_fake - F_real, -limit, limit): distribution matching of a model with itself, of the rows of one_step.
///
/// @param f what the student gave of noise, samples x dimensions
/// @param fake,real what the model gave of x^ noised at t' in (0, 1): at (-t', -t'), and at (t', t')
/// @param limit of each element
/// The target of `mse` for F, all of it held fixed; 0.5 of it in the code, times `robust_weight`. Where both velocities are one,
/// its gradient is 0. O(samples x dimensions). @throws shape_error where shapes differ; value_error where the limit is not positive.
template <class F, class Fake, class Real>
auto matched_velocity(F&& f, Fake&& fake, Real&& real, double limit = 1) {
  detail::require_limit("limit of matched_velocity", limit);
  return detail::by_rule("a prediction of matched_velocity", detail::twin_matching{limit}, std::forward<F>(f), std::forward<Fake>(fake),
                         std::forward<Real>(real));
}

LIMBECK_END_NAMESPACE

#endif
