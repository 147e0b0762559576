#ifndef LIMBECK_SCHEDULE_SCHEDULES_HPP
#define LIMBECK_SCHEDULE_SCHEDULES_HPP

/// @file
/// Schedules: pure functions of progress x in [0, 1]. Any number of the library (a weight, a temperature) can be one.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/number.hpp>

#include <cmath>
#include <initializer_list>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
inline std::string described_ends(const char* name, double from, double to) {
  return std::string(name) + '(' + digits(from) + " -> " + digits(to) + ')';
}
}  // namespace detail

/// from + (to - from) x.
struct linear {
  using limbeck_schedule = void;
  double from, to;
  constexpr linear(double first, double last) : from(first), to(last) {}
  constexpr double operator()(double x) const { return from + (to - from) * x; }
  std::string describe() const { return detail::described_ends("linear", from, to); }
};

/// Half a cosine wave, to + (from - to)(1 + cos(pi x))/2: flat at both ends (Loshchilov and Hutter, SGDR, 2017,
/// arXiv:1608.03983, without restarts).
struct cosine {
  using limbeck_schedule = void;
  double from, to;
  constexpr cosine(double first, double last) : from(first), to(last) {}
  double operator()(double x) const { return to + (from - to) * 0.5 * (1 + std::cos(3.14159265358979323846 * x)); }
  std::string describe() const { return detail::described_ends("cosine", from, to); }
};

/// from (to/from)^x: a constant ratio a step. Both ends have the same sign and are not 0.
struct exponential {
  using limbeck_schedule = void;
  double from, to;
  /// @throws value_error where the ends differ in sign or one is 0.
  constexpr exponential(double first, double last) : from(first), to(last) {
    if (!(first * last > 0))
      raise<value_error>("limbeck: exponential(" + detail::show(first) + ", " + detail::show(last) +
                         ") needs two ends of one sign, neither of them 0");
  }
  double operator()(double x) const { return from * std::pow(to / from, x); }
  std::string describe() const { return detail::described_ends("exponential", from, to); }
};

namespace detail {
using knots = std::vector<std::pair<double, double>>;
inline knots checked_knots(const char* who, std::initializer_list<std::pair<double, double>> list) {
  double last = -1;
  for (const auto& [x, value] : list) {
    if (!(x >= 0 && x <= 1 && x > last))
      raise<value_error>(std::string("limbeck: ") + who + " has a knot at progress " + show(x) +
                         ", expected increasing fractions in [0, 1]");
    last = x;
  }
  if (list.size() == 0) raise<value_error>(std::string("limbeck: ") + who + " has no knot");
  return list;
}
inline std::string described_knots(const knots& all) {
  std::string s;
  for (const auto& [x, value] : all) s += (s.empty() ? "(" : ", ") + digits(x) + ": " + digits(value);
  return s + ')';
}
}  // namespace detail

/// A staircase: `step({{0, 1.0}, {0.5, 0.1}})` is 1.0 before half of the run and 0.1 from there on.
struct step {
  using limbeck_schedule = void;
  detail::knots knots;
  /// @throws value_error where the fractions do not increase within [0, 1].
  explicit step(std::initializer_list<std::pair<double, double>> list) : knots(detail::checked_knots("step", list)) {}
  double operator()(double x) const {
    double value = knots.front().second;
    for (const auto& k : knots)
      if (x >= k.first) value = k.second;
    return value;
  }
  std::string describe() const { return "step" + detail::described_knots(knots); }
};

/// Straight lines between knots (progress, value), constant before the first and after the last.
struct piecewise {
  using limbeck_schedule = void;
  detail::knots knots;
  /// @throws value_error where the fractions do not increase within [0, 1].
  explicit piecewise(std::initializer_list<std::pair<double, double>> list)
      : knots(detail::checked_knots("piecewise", list)) {}
  double operator()(double x) const {
    if (x <= knots.front().first) return knots.front().second;
    for (std::size_t i = 1; i < knots.size(); ++i) {
      const auto& [x0, y0] = knots[i - 1];
      const auto& [x1, y1] = knots[i];
      if (x <= x1) return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
    }
    return knots.back().second;
  }
  std::string describe() const { return "piecewise" + detail::described_knots(knots); }
};

/// A ramp from 0 over the first @p fraction of the run, multiplied with @p rest (seen over the whole run).
template <schedule S>
struct warm_up_schedule {
  using limbeck_schedule = void;
  double fraction;  ///< of the run that is ramp
  S rest;           ///< what the ramp is multiplied with
  constexpr double operator()(double x) const { return (x < fraction ? x / fraction : 1.0) * rest(x); }
  std::string describe() const {
    return "warm_up(" + detail::digits(fraction) + ", " + detail::described(rest) + ')';
  }
};
/// @throws value_error where @p fraction is not in [0, 1].
template <number N>
constexpr auto warm_up(double fraction, const N& rest) {
  if (!(fraction >= 0 && fraction <= 1))
    raise<value_error>("limbeck: warm_up(" + detail::show(fraction) + ", ...) expects a fraction in [0, 1]");
  return warm_up_schedule<decltype(as_schedule(rest))>{fraction, as_schedule(rest)};
}

/// First one schedule, stretched over [0, at], then another, stretched over [at, 1].
template <schedule A, schedule B>
struct sequence_schedule {
  using limbeck_schedule = void;
  double at;  ///< where the second begins
  A first;    ///< over [0, at]
  B second;   ///< over [at, 1]
  constexpr double operator()(double x) const { return x < at ? first(x / at) : second((x - at) / (1 - at)); }
  std::string describe() const {
    return "sequence(" + detail::described(first) + ", " + detail::digits(at) + ", " + detail::described(second) + ')';
  }
};
/// `sequence(cosine(8, 2), 0.7, 1.0)`: a cosine during the first 70 % of the run, then 1. Longer sequences nest.
/// @throws value_error where @p at is not in (0, 1).
template <number A, number B>
constexpr auto sequence(const A& first, double at, const B& second) {
  if (!(at > 0 && at < 1))
    raise<value_error>("limbeck: sequence(..., " + detail::show(at) + ", ...) expects a fraction in (0, 1)");
  return sequence_schedule<decltype(as_schedule(first)), decltype(as_schedule(second))>{at, as_schedule(first),
                                                                                        as_schedule(second)};
}

LIMBECK_END_NAMESPACE

#endif
