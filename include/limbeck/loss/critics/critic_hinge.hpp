#ifndef LIMBECK_LOSS_CRITICS_CRITIC_HINGE_HPP
#define LIMBECK_LOSS_CRITICS_CRITIC_HINGE_HPP

/// @file
/// The hinge of critics.

#include <limbeck/engine/point.hpp>
#include <limbeck/loss/critics/critic_role.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of (1 - s)_+ for real rows, (1 + s)_+ for fake ones, and -s for the generator, s a critic's logits.
///
/// A loss of rows that reads no teacher: weights, masks and `given` reach it. The best critic is 1 where data are denser and -1
/// where samples are; the two means are then 2 minus twice the total variation. The subgradient at the margin is 0.
/// @throws value_error where a logit is not finite or the temperature is not 1. O(samples x columns).
///
/// Lim and Ye, Geometric GAN, 2017, arXiv:1705.02894; Miyato, Kataoka, Koyama and Yoshida, Spectral Normalization for Generative
/// Adversarial Networks, 2018, arXiv:1802.05957.
struct critic_hinge {
  using limbeck_loss = logitwise;
  static constexpr bool needs_teacher = false, mean_over_classes = true, of_features = true, fixed_temperature = true;
  static constexpr int temperature_power = 0;

  critic_role role = critic_role::generator;  ///< of the rows

  void check_call(std::size_t, std::size_t, double temperature, double) const {
    detail::check_critic_temperature("critic_hinge", temperature);
  }
  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    if (role == critic_role::generator) return -x.student;
    return larger(X(0), X(1) + signed_by_role(x.student));
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    if (role == critic_role::generator) return X(-1);
    return select(X(0) < X(1) + signed_by_role(x.student), signed_by_role(X(1)), X(0));
  }

 private:
  template <class X>
  LIMBECK_INLINE constexpr X signed_by_role(const X& s) const {
    return role == critic_role::real ? -s : s;
  }
};

LIMBECK_END_NAMESPACE

#endif
