#ifndef LIMBECK_CORE_NUMBER_HPP
#define LIMBECK_CORE_NUMBER_HPP

/// @file
/// Numbers: every hyper-parameter of the library is a constant or a schedule.

#include <limbeck/core/describe.hpp>

#include <concepts>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// A number that depends on progress: a regular value with `using limbeck_schedule = void;` and
/// `double operator()(double fraction) const`, a pure function of a fraction in [0, 1].
template <class S>
concept schedule = requires(const S& s, double fraction) {
  typename S::limbeck_schedule;
  { s(fraction) } -> std::convertible_to<double>;
};

/// A constant or a schedule.
template <class N>
concept number = std::is_arithmetic_v<std::remove_cvref_t<N>> || schedule<std::remove_cvref_t<N>>;

/// A number that never changes: c.
struct constant {
  using limbeck_schedule = void;
  double value = 1;  ///< c
  constexpr constant() = default;
  /// Implicit: a number is a schedule.
  constexpr constant(double c) : value(c) {}
  constexpr double operator()(double) const { return value; }
  std::string describe() const { return detail::digits(value); }
};

/// The product of two numbers.
template <schedule A, schedule B>
struct product {
  using limbeck_schedule = void;
  A first;   ///< one factor
  B second;  ///< the other
  constexpr double operator()(double x) const { return first(x) * second(x); }
  std::string describe() const { return detail::described(first) + " * " + detail::described(second); }
};

/// @cond
template <number N>
constexpr auto as_schedule(const N& n) {
  if constexpr (std::is_arithmetic_v<N>) {
    return constant(static_cast<double>(n));
  } else {
    return n;
  }
}
constexpr constant multiply(constant a, constant b) { return a.value * b.value; }
template <schedule A, schedule B>
constexpr product<A, B> multiply(const A& a, const B& b) {
  return {a, b};
}
/// @endcond

/// Products of schedules: `warm_up(0.1, cosine(1, 0)) * linear(1, 2)`, `0.5 * cosine(1, 0)`.
template <number A, number B>
  requires(schedule<A> || schedule<B>)
constexpr auto operator*(const A& a, const B& b) {
  return multiply(as_schedule(a), as_schedule(b));
}

LIMBECK_END_NAMESPACE

#endif
