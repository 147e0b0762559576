#ifndef LIMBECK_LOSS_CRITICS_GRADIENT_PENALTY_HPP
#define LIMBECK_LOSS_CRITICS_GRADIENT_PENALTY_HPP

/// @file
/// How steep a critic may be.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/loss/features/cosine_loss.hpp>

LIMBECK_BEGIN_NAMESPACE

/// (|g| - norm)^2 of each row, g the derivative of a critic's output by its input: the critic's slope as an output of its own.
///
/// R1 is `0.5 * gamma * gradient_penalty{}` at real samples, WGAN-GP `10.0 * gradient_penalty{1}` at samples between real and fake ones,
/// which are `noised(real, fake, levels(rectified{}, u))` for u uniform in [0, 1]. The gradient that a call writes is by g,
/// 2 (|g| - norm) g/|g|: whoever made g goes back through it once more, which is a second derivative of the critic; a model of the trainer has
/// g as an output, say "slope", and `at<"slope">(gradient_penalty{})` in its objective. A loss of rows that reads no teacher; the
/// gradient where g = 0 is 0. No part of a penalty goes to the generator.
/// @throws value_error where norm is negative or not finite, a number is not finite, or the temperature is not 1. O(samples x columns).
///
/// Mescheder, Geiger and Nowozin, Which Training Methods for GANs do actually Converge?, 2018, arXiv:1801.04406, eq. 9 (R1);
/// Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, Improved Training of Wasserstein GANs, 2017, arXiv:1704.00028, eq. 3.
struct gradient_penalty {
  using limbeck_loss = rowwise;
  static constexpr bool needs_teacher = false, of_features = true, fixed_temperature = true;
  static constexpr int temperature_power = 0;

  double norm = 0;  ///< that a slope should have, at least 0: 0 for R1, 1 for WGAN-GP

  void check() const {
    if (!(norm >= 0 && norm < 1e30))
      raise<value_error>("limbeck: gradient_penalty.norm is " + detail::show(norm) + ", expected a finite number of at least 0");
  }
  void check_call(std::size_t, std::size_t, double temperature, double) const {
    check();
    if (temperature != 1)
      raise<value_error>("limbeck: the slopes of gradient_penalty stand at T = " + detail::show(temperature) + ", expected 1");
  }
  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const auto g = [&](std::size_t c) { return static_cast<double>(x.student[c]); };
    const double length = detail::norm_over<T>(x.team, x.student.size(), g), beyond = length - norm;
    if (!x.gradient.empty() && length > 0) {
      const double scale = 2 * static_cast<double>(x.scale) * beyond / length;
      x.each_own([&](std::size_t c) { x.gradient[c] += static_cast<T>(scale * g(c)); });
    }
    return static_cast<T>(beyond * beyond);
  }
};

LIMBECK_END_NAMESPACE

#endif
