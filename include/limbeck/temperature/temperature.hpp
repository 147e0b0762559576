#ifndef LIMBECK_TEMPERATURE_TEMPERATURE_HPP
#define LIMBECK_TEMPERATURE_TEMPERATURE_HPP

/// @file
/// The temperatures a softmax can have: q = softmax(s / T). A constant or a schedule is one as it is; the three
/// others are here.

#include <limbeck/core/number.hpp>

LIMBECK_BEGIN_NAMESPACE

/// T = Num/Den, known to the compiler: terms that name the same `fixed<4>` share their softmax wherever they stand.
template <int Num, int Den = 1>
struct fixed {
  static_assert(Num > 0 && Den > 0, "limbeck: a temperature is positive");
  using limbeck_temperature = void;
  /// The temperature.
  static constexpr double value = static_cast<double>(Num) / Den;
  std::string describe() const { return detail::digits(value); }
};

/// One temperature a row, given to the call as `row_temperatures(T)`. With `row_temperature_gradient(out)` the call
/// also writes d loss / d T of each row.
struct per_row {
  using limbeck_temperature = void;
  std::string describe() const { return "one a row"; }
};

/// A temperature that is trained: read from the caller's variable at each call, which then also returns
/// d loss / d T in `evaluation::temperature_gradient` (learned temperatures in order of appearance). The derivative is
/// that of the value as returned, its T^k factor included; `unscaled` takes the factor away. See learned().
struct learned_temperature {
  using limbeck_temperature = void;
  const double* value;  ///< the caller's variable
  std::string describe() const { return "learned"; }
};
/// @p t must outlive the objective.
inline learned_temperature learned(const double& t) { return {&t}; }
/// @cond
learned_temperature learned(const double&&) = delete;
/// @endcond

/// A number, or one of the above.
template <class T>
concept temperature = number<T> || requires { typename std::remove_cvref_t<T>::limbeck_temperature; };

LIMBECK_END_NAMESPACE

#endif
