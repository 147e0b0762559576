#ifndef LIMBECK_LOSS_CRITICS_CRITIC_LOGISTIC_HPP
#define LIMBECK_LOSS_CRITICS_CRITIC_LOGISTIC_HPP

/// @file
/// The logistic loss of critics: binary cross-entropy, where critics know densities.

#include <limbeck/loss/critics/critic_role.hpp>
#include <limbeck/loss/logits/bce_with_logits.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of -y log D - (1 - y) log(1 - D), D = sigmoid(s), s a critic's logits: y is 1 - smoothing for real rows and
/// smoothing for fake ones, and 1 for the generator: softplus(-s), which does not saturate.
///
/// A loss of rows that reads no teacher. Without smoothing the best critic is s = log p_real/p_fake (`density_ratio`), and the
/// means of both roles are then 2 log 2 - 2 JS(real, fake). At that critic the generator's gradient is that of KL(fake || real) -
/// 2 JS, and that of `-1.0 * critic_logistic{critic_role::fake}`, the saturating game, of 2 JS - 2 log 2.
/// @throws value_error where a logit is not finite, the temperature is not 1 or smoothing is not in [0, 1/2). O(samples x columns).
///
/// Goodfellow et al., Generative Adversarial Networks, 2014, arXiv:1406.2661. The generator's divergence: Arjovsky and Bottou,
/// Towards Principled Methods for Training Generative Adversarial Networks, 2017, arXiv:1701.04862, theorem 2.5. Smoothing on both
/// sides, at 0.1, as DiDi-Instruct's critic (arXiv:2509.25035) has it.
struct critic_logistic {
  using limbeck_loss = logitwise;
  static constexpr bool needs_teacher = false, mean_over_classes = true, of_features = true, fixed_temperature = true;
  static constexpr int temperature_power = 0;

  critic_role role = critic_role::generator;  ///< of the rows
  double smoothing = 0;                       ///< of the critic's answers, in [0, 1/2); the generator's has none

  void check() const {
    if (!(smoothing >= 0 && smoothing < 0.5))
      raise<value_error>("limbeck: critic_logistic.smoothing is " + detail::show(smoothing) + ", expected a number in [0, 1/2)");
  }
  void check_call(std::size_t, std::size_t, double temperature, double) const {
    detail::check_critic_temperature("critic_logistic", temperature);
  }
  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    return bce_with_logits{}.value(answered(x));
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    return bce_with_logits{}.flow(answered(x));
  }

 private:
  template <class X>
  LIMBECK_INLINE constexpr point<X> answered(const point<X>& x) const {
    point<X> p = x;
    p.teacher = X(static_cast<typename X::scalar>(role == critic_role::generator ? 1 : role == critic_role::real ? 1 - smoothing : smoothing));
    return p;
  }
};

LIMBECK_END_NAMESPACE

#endif
