#ifndef LIMBECK_TEMPERATURE_INVERSE_DIFFICULTY_HPP
#define LIMBECK_TEMPERATURE_INVERSE_DIFFICULTY_HPP

/// @file
/// Inverse difficulty temperature scaling (IDTS): tokens that the student finds hard are taught sharply, easy ones softly.

#include <limbeck/loss/logits/other_divergences.hpp>
#include <limbeck/signal/batch_statistics.hpp>
#include <limbeck/signal/signals.hpp>

LIMBECK_BEGIN_NAMESPACE

/// exp(-c tanh(log(d / median d))), the temperature of a row: d is its Hellinger distance of teacher and student at temperature 1, the
/// median is over the rows of the call that count.
///
/// 1 at the median, between exp(-c), the hardest, and exp(c). `at_temperature(inverse_difficulty_temperature(), reverse_kl{})`, whose
/// factor is the T^2 of each row; a number in front is the temperature at the median. Held fixed. Where no row differs it is 1.
/// @param c a number or a schedule.
///
/// Xie et al., LLM-Oriented Token-Adaptive Knowledge Distillation (AdaKD), 2025, arXiv:2510.11615 (c = 0.5), after its authors' code, in
/// which the gradient leaks through the temperature. The tokens that AdaKD keeps are a row mask: `kept_ratio`, `top_share_mask`.
template <number C = double>
constexpr auto inverse_difficulty_temperature(const C& c = 0.5) {
  // tanh(log x) = (x^2 - 1)/(x^2 + 1), and the median of squares is the square of the median
  const auto d2 = divergence_of(squared_hellinger{});
  const auto m2 = median_of(d2);
  return exp(c * ((m2 - d2) / (m2 + d2 + 1e-300)));
}

LIMBECK_END_NAMESPACE

#endif
