#ifndef LIMBECK_TEMPERATURE_LEARNED_HPP
#define LIMBECK_TEMPERATURE_LEARNED_HPP

/// @file
/// A temperature with its gradient, for an optimiser to move: what a trainer steps and saves by itself.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/number.hpp>

#include <array>
#include <cmath>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Where a temperature_parameter stays.
struct temperature_range {
  double lowest = 0, highest = 1e300;  ///< 0 <= lowest < highest
  /// Whether T is held on both sides.
  bool bounded() const { return highest < 1e300; }
};

/// T = exp(theta) > 0 with theta learned, of type @p T: `at_temperature(learned(t), forward_kl{})`. A `learned_part`,
/// as a `projection` is: a trainer that finds it in its objective zeroes, steps and archives it; in a loop of your own,
/// `pull_back(e.temperature_gradient[i])` after each call. Belongs to the caller and outlives the objective.
///
/// With a range it is lowest + (highest - lowest) sigmoid(theta), which no step leaves: what is learned against the student
/// (adversarial()) needs one.
template <class T = float>
class temperature_parameter {
 public:
  using scalar = T;  ///< of theta
  /// Starts at @p initial. @throws value_error unless that is positive and finite.
  explicit temperature_parameter(double initial = 1) : temperature_parameter(initial, temperature_range{}) {}
  /// The same, held in @p range. @throws value_error unless @p initial lies in it, or it is no range of temperatures.
  temperature_parameter(double initial, temperature_range range) : range_(range) {
    if (!(range.lowest >= 0 && range.lowest < range.highest && range.highest <= 1e300))
      raise<value_error>("limbeck: temperature_range is " + detail::show(range.lowest) + " to " + detail::show(range.highest) +
                         ", expected 0 <= lowest < highest");
    if (!(initial > range.lowest && initial < range.highest))
      raise<value_error>("limbeck: temperature_parameter starts at " + detail::show(initial) + ", expected " +
                         (range.bounded() ? "a number between " + detail::show(range.lowest) + " and " + detail::show(range.highest)
                                          : std::string("a positive number")));
    theta_ = static_cast<T>(range.bounded() ? std::log((initial - range.lowest) / (range.highest - initial)) : std::log(initial - range.lowest));
  }
  /// The temperature.
  double value() const {
    const auto theta = static_cast<double>(theta_);
    return range_.bounded() ? range_.lowest + width() / (1 + std::exp(-theta)) : range_.lowest + std::exp(theta);
  }
  /// theta.
  std::array<std::span<T>, 1> parameters() { return {std::span<T>(&theta_, 1)}; }
  /// Its gradient.
  std::array<std::span<T>, 1> gradients() { return {std::span<T>(&gradient_, 1)}; }
  /// Sets the gradient to 0.
  void zero_gradients() { gradient_ = T(0); }
  /// Adds to the gradient that of a loss whose derivative by the temperature is @p slope: slope dT/dtheta.
  void pull_back(double slope) {
    const double above = value() - range_.lowest;
    gradient_ += static_cast<T>(slope * (range_.bounded() ? above * (1 - above / width()) : above));
  }
  /// Saves or restores theta.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("log_temperature", theta_);
  }
  /// "learned", and within which range: what a checkpoint tells runs apart by.
  std::string describe() const {
    if (!range_.bounded() && range_.lowest == 0) return "learned";
    return "learned within " + detail::show(range_.lowest) + " and " + detail::show(range_.highest);
  }

 private:
  double width() const { return range_.highest - range_.lowest; }
  temperature_range range_;
  T theta_;
  T gradient_ = T(0);
};

/// A temperature that a `temperature_parameter` holds. See learned().
template <class T>
struct learned_parameter {
  using limbeck_temperature = void;
  temperature_parameter<T>* parameter;  ///< the caller's
  std::string describe() const { return parameter->describe(); }
};
/// A temperature that is learned against the student. See adversarial().
template <class T, schedule S>
struct adversarial_parameter {
  using limbeck_temperature = void;
  temperature_parameter<T>* parameter;  ///< the caller's
  S strength;                           ///< of the reversed gradient
  std::string describe() const { return parameter->describe() + " against the student, by " + detail::described(strength); }
};

/// The temperature that @p t learns; @p t must outlive the objective.
template <class T>
learned_parameter<T> learned(temperature_parameter<T>& t) {
  return {&t};
}
/// The temperature that @p t learns *against* the student, where the loss is largest: a trainer hands it the derivative times
/// -strength, a number >= 0 or a schedule of one. The student's gradient is that of learned(). @p t must outlive the objective.
///
/// Li et al., Curriculum Temperature for Knowledge Distillation (CTKD), 2023, arXiv:2211.16231. Their global temperature is
/// `temperature_parameter<float> t(15.6, {1, 21})` (in their code 1 + 20 sigmoid(theta), theta from 1), the strength half a cosine from 0 to
/// 1 over the first 10 of 240 epochs: `adversarial(t, sequence(cosine(0, 1), 10.0 / 240, 1.0))`. In a loop of your own:
/// `t.pull_back(-strength * e.temperature_gradient[i])`.
template <class T, number N = double>
constexpr auto adversarial(temperature_parameter<T>& t, const N& strength = 1) {
  return adversarial_parameter<T, decltype(as_schedule(strength))>{&t, as_schedule(strength)};
}
/// @cond
template <class T>
learned_parameter<T> learned(const temperature_parameter<T>&&) = delete;
template <class T, number N = double>
void adversarial(const temperature_parameter<T>&&, const N& = 1) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
