#ifndef LIMBECK_LOSS_CRITICS_CRITIC_LEAST_SQUARES_HPP
#define LIMBECK_LOSS_CRITICS_CRITIC_LEAST_SQUARES_HPP

/// @file
/// Least squares of critics.

#include <limbeck/engine/point.hpp>
#include <limbeck/loss/critics/critic_role.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of (s - b)^2/2 for real rows, (s - a)^2/2 for fake ones, and (s - c)^2/2 for the generator, s a critic's outputs.
///
/// A loss of rows that reads no teacher. The best critic is (b p_real + a p_fake)/(p_real + p_fake). With b - c = 1 and b - a = 2
/// the generator's value, and that of real rows with c in the place of b, are then together half of Pearson's chi^2 of
/// p_real + p_fake to 2 p_fake.
/// @throws value_error where an output or option is not finite or the temperature is not 1. O(samples x columns).
///
/// Mao, Li, Xie, Lau, Wang and Smolley, Least Squares Generative Adversarial Networks, 2017, arXiv:1611.04076.
struct critic_least_squares {
  using limbeck_loss = logitwise;
  static constexpr bool needs_teacher = false, mean_over_classes = true, of_features = true, fixed_temperature = true;
  static constexpr int temperature_power = 0;

  critic_role role = critic_role::generator;  ///< of the rows
  double real = 1;                            ///< b
  double fake = 0;                            ///< a
  double wanted = 1;                          ///< c, what the generator wants to read

  void check() const {
    for (const double aim : {real, fake, wanted})
      if (aim - aim != 0)
        raise<value_error>("limbeck: an aim of critic_least_squares is " + detail::show(aim) + ", expected a finite number");
  }
  void check_call(std::size_t, std::size_t, double temperature, double) const {
    detail::check_critic_temperature("critic_least_squares", temperature);
  }
  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    const X d = flow(x);
    return X(static_cast<typename X::scalar>(0.5)) * d * d;
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    return x.student - X(static_cast<typename X::scalar>(aim_of_role()));
  }

 private:
  LIMBECK_HOST_DEVICE constexpr double aim_of_role() const {
    return role == critic_role::generator ? wanted : role == critic_role::real ? real : fake;
  }
};

LIMBECK_END_NAMESPACE

#endif
