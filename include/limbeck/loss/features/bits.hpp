#ifndef LIMBECK_LOSS_FEATURES_BITS_HPP
#define LIMBECK_LOSS_FEATURES_BITS_HPP

/// @file
/// What a compressed representation costs to send.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of -log2 of likelihoods: the bits that an entropy coder spends on an element. The student's tensor is
/// what a prior gives to the elements that are sent, numbers in (0, 1]; there is no teacher.
///
/// The bits of a whole batch are this times columns, by `sum`. A likelihood below `least` counts as it, with the slope
/// there; one above 1, which no prior gives, counts below 0. The prior, and the noise in place of rounding, are the network's.
/// @throws value_error where least is not in (1e-30, 1), a temperature is not 1, or a likelihood is not finite.
/// O(samples x columns).
/// Matsubara et al., Supervised Compression for Resource-Constrained Edge Computing Systems, 2022, arXiv:2108.11898, and
/// its `BppBasedLoss`; least is the bound of CompressAI's likelihoods.
struct bits {
  using limbeck_loss = logitwise;
  static constexpr bool needs_teacher = false;
  static constexpr bool mean_over_classes = true;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 0;
  static constexpr bool fixed_temperature = true;

  double least = 1e-9;  ///< likelihood

  void check() const {
    if (!(least > 1e-30 && least < 1))
      raise<value_error>("limbeck: bits.least is " + detail::show(least) + ", expected in (1e-30, 1)");
  }
  void check_call(std::size_t, std::size_t, double temperature, double) const {
    if (temperature != 1)
      raise<value_error>("limbeck: the likelihoods of bits stand at T = " + detail::show(temperature) + ", expected 1");
  }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    return -(log(held(x)) * X(static_cast<typename X::scalar>(detail::log2e)));
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    return X(static_cast<typename X::scalar>(-detail::log2e)) / held(x);
  }

 private:
  template <class X>
  LIMBECK_INLINE constexpr X held(const point<X>& x) const {
    return larger(X(static_cast<typename X::scalar>(least)), x.student);
  }
};

LIMBECK_END_NAMESPACE

#endif
