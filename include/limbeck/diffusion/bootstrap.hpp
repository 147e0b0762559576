#ifndef LIMBECK_DIFFUSION_BOOTSTRAP_HPP
#define LIMBECK_DIFFUSION_BOOTSTRAP_HPP

/// @file
/// Distillation from noise alone: a student of the noise and the time follows the teacher's path by what it says itself a moment before.

#include <limbeck/diffusion/steps.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// 1 - k, k = (a_t s_s)/(s_t a_s).
LIMBECK_HOST_DEVICE inline double signal_step_length(const noise_level& at, const noise_level& to) {
  return 1 - at.signal * to.noise / (at.noise * to.signal);
}
template <class Levels, class To>
struct signal_step_numbers {
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const double h = signal_step_length(at(row), to(row));
    return {{1 - h, h}};
  }
};

}  // namespace detail

/// A step of the Signal-ODE: y_s = k y_t + (1 - k) f, k = (a_t s_s)/(s_t a_s), where y_t = (x_t - s_t e)/a_t is what of x_t is not the noise
/// e that the path began with. It is DDIM's step, without the division by a_t.
///
/// @param signal y_t, what the student says of (e, t), samples x dimensions
/// @param teacher the clean sample that the teacher makes of `noised(y_t, e, at)`, the same noise
/// @param at,to the levels of t and of the earlier s
/// The target of BOOT for the student at (e, s), held fixed, both y_t and f: `given(w) * mse{}` with `signal_step_weights`, and at the last
/// time, where y is f(e), plain `mse` against the teacher's clean sample of e. The target's error by the step is O((t - s)^2).
/// O(samples x dimensions). A row from where there is no noise is not finite. @throws shape_error where shapes differ or there is not one
/// time a row.
///
/// Gu, Zhai, Zhang, Liu and Susskind, BOOT: Data-free Distillation of Denoising Diffusion Models with Bootstrapping, 2023,
/// arXiv:2306.05544. The step was derived here; structure and boundary are those of the paper's reviews and of a reimplementation,
/// its weights were not read.
template <class Y, class F, row_levels L, row_levels To>
auto signal_step(Y&& signal, F&& teacher, const L& at, const To& to) {
  return detail::checked_step(at, to, detail::combined("the teacher of signal_step", detail::signal_step_numbers<L, To>{at, to},
                                                       std::forward<Y>(signal), std::forward<F>(teacher)));
}

/// w_r = 1/(1 - k)^2: the squared error of a step over the square of its length, which makes it a finite difference. On the host.
///
/// @param at,to the levels of @p out's rows; @param out one a row
/// @throws shape_error where there is not one time a row; value_error naming the row where the weight is no positive, finite number: a
/// step of no length, from where there is no noise, or to where there is no signal. Then @p out is as it was.
template <row_levels L, row_levels To, detail::sized_memory Out>
void signal_step_weights(const L& at, const To& to, Out&& out) {
  const std::size_t n = out.size();
  detail::check_levels(at, n), detail::check_levels(to, n);
  const auto w = detail::output_vector("out", out, n);
  const auto weight = [&](std::size_t r) {
    const double h = detail::signal_step_length(at(r), to(r));
    return 1 / (h * h);
  };
  for (std::size_t r = 0; r < n; ++r)
    if (const double of_row = weight(r); !(of_row > 0 && of_row < 1e300))
      raise<value_error>("limbeck: row " + std::to_string(r) + " steps from time " + detail::show(at.time_of(r)) + " to " +
                         detail::show(to.time_of(r)) + ", expected from a time with noise to another with signal");
  for (std::size_t r = 0; r < n; ++r) detail::put(w, r, weight(r));
}

LIMBECK_END_NAMESPACE

#endif
