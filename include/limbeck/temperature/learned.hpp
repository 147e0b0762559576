#ifndef LIMBECK_TEMPERATURE_LEARNED_HPP
#define LIMBECK_TEMPERATURE_LEARNED_HPP

/// @file
/// A temperature with its gradient, for an optimiser to move: what a trainer steps and saves by itself.

#include <limbeck/core/errors.hpp>

#include <array>
#include <cmath>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// T = exp(theta) > 0 with theta learned, of type @p T: `at_temperature(learned(t), forward_kl{})`. A `learned_part`,
/// as a `projection` is: a trainer that finds it in its objective zeroes, steps and archives it; in a loop of your own,
/// `pull_back(e.temperature_gradient[i])` after each call. Belongs to the caller and outlives the objective.
///
/// Li et al., *Curriculum Temperature for Knowledge Distillation*, 2023, arXiv:2211.16231, train a temperature against
/// the student: in a loop of your own, `pull_back(-lambda * slope)`.
template <class T = float>
class temperature_parameter {
 public:
  using scalar = T;  ///< of theta
  /// Starts at @p initial. @throws value_error unless that is positive and finite.
  explicit temperature_parameter(double initial = 1) : theta_(static_cast<T>(std::log(initial))) {
    if (!(initial > 0 && initial < 1e300))
      raise<value_error>("limbeck: temperature_parameter starts at " + detail::show(initial) +
                         ", expected a positive number");
  }
  /// The temperature.
  double value() const { return std::exp(static_cast<double>(theta_)); }
  /// theta.
  std::array<std::span<T>, 1> parameters() { return {std::span<T>(&theta_, 1)}; }
  /// Its gradient.
  std::array<std::span<T>, 1> gradients() { return {std::span<T>(&gradient_, 1)}; }
  /// Sets the gradient to 0.
  void zero_gradients() { gradient_ = T(0); }
  /// Adds to the gradient that of a loss whose derivative by the temperature is @p slope: slope T.
  void pull_back(double slope) { gradient_ += static_cast<T>(slope * value()); }
  /// Saves or restores theta.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("log_temperature", theta_);
  }

 private:
  T theta_;
  T gradient_ = T(0);
};

/// A temperature that a `temperature_parameter` holds. See learned().
template <class T>
struct learned_parameter {
  using limbeck_temperature = void;
  temperature_parameter<T>* parameter;  ///< the caller's
  std::string describe() const { return "learned"; }
};
/// @p t must outlive the objective.
template <class T>
learned_parameter<T> learned(temperature_parameter<T>& t) {
  return {&t};
}
/// @cond
template <class T>
learned_parameter<T> learned(const temperature_parameter<T>&&) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
