#ifndef LIMBECK_LOSS_CRITICS_CRITIC_WASSERSTEIN_HPP
#define LIMBECK_LOSS_CRITICS_CRITIC_WASSERSTEIN_HPP

/// @file
/// The difference of two means of a critic.

#include <limbeck/engine/point.hpp>
#include <limbeck/loss/critics/critic_role.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of -s for real rows and for the generator, s for fake ones, s a critic's outputs.
///
/// A loss of rows that reads no teacher. Of all critics with slopes of length 1 at most, the least sum of both roles is minus
/// Wasserstein's distance; something has to hold the slopes, as `gradient_penalty{1}` does. With s = log p_fake/p_real of another
/// critic in the place of the generator's -s, its mean is KL(fake || real).
/// @throws value_error where an output is not finite or the temperature is not 1. O(samples x columns).
///
/// Arjovsky, Chintala and Bottou, Wasserstein GAN, 2017, arXiv:1701.07875.
struct critic_wasserstein {
  using limbeck_loss = logitwise;
  static constexpr bool needs_teacher = false, mean_over_classes = true, of_features = true, fixed_temperature = true;
  static constexpr int temperature_power = 0;

  critic_role role = critic_role::generator;  ///< of the rows

  void check_call(std::size_t, std::size_t, double temperature, double) const {
    detail::check_critic_temperature("critic_wasserstein", temperature);
  }
  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    return role == critic_role::fake ? x.student : -x.student;
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>&) const {
    return role == critic_role::fake ? X(1) : X(-1);
  }
};

LIMBECK_END_NAMESPACE

#endif
