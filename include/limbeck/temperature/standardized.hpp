#ifndef LIMBECK_TEMPERATURE_STANDARDIZED_HPP
#define LIMBECK_TEMPERATURE_STANDARDIZED_HPP

/// @file
/// The deviation of a row's own logits as its temperature: logit standardisation.

#include <limbeck/core/number.hpp>

LIMBECK_BEGIN_NAMESPACE

/// A temperature of @p number deviations of the row. See standardized().
template <class N>
struct standardized_temperature {
  using limbeck_temperature = void;
  /// What is added to a deviation: equal logits have a finite softmax.
  static constexpr double epsilon = 1e-7;
  N number;  ///< how many
};

/// T deviations of each row: the losses inside compare the softmaxes of z/T, where z = (x - mean)/(1e-7 + std) are the
/// logits of a side, standardised with their own mean and their own deviation (over n - 1). T > 0 is a number or a schedule.
/// `at_temperature(standardized(2.0), forward_kl{})`.
///
/// The gradient goes through the student's mean and deviation; through the deviation it is 0 in a row of equal logits, where
/// there is none. Two logits are ±1/√2 once standardised, so nothing moves them. The factor T^k is that of T, not of the
/// deviation. Masked classes (-inf) count in neither mean nor deviation; a `class_mask` does not change these. For losses of
/// softmaxes, without memory of its own; two more passes over a row. A T that is not positive is a value_error at
/// the call; so is a logit whose square is infinite.
///
/// Sun, Ren, Li, Wang, Cao, *Logit Standardization in Knowledge Distillation*, CVPR 2024, arXiv:2403.01427.
template <number N>
constexpr auto standardized(const N& t) {
  return standardized_temperature<decltype(as_schedule(t))>{as_schedule(t)};
}

LIMBECK_END_NAMESPACE

#endif
