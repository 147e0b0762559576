#ifndef LIMBECK_SIGNAL_EXPRESSION_HPP
#define LIMBECK_SIGNAL_EXPRESSION_HPP

/// @file
/// The algebra of signals: `of_teacher(confidence{}) > 0.9 && of_student(margin{}) < linear(0.5, 0.1)`.
///
/// Operands are signals and numbers, constants or schedules. Comparisons and `&&`, `||`, `!` give 1 and 0. All of it is
/// evaluated once a row, in double.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/number.hpp>
#include <limbeck/signal/signal.hpp>

#include <cmath>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
struct student_side;
struct teacher_side;
/// The numbers of a vector.
struct element_of {
  any_vector values;
  LIMBECK_HOST_DEVICE double operator()(std::size_t r) const { return values.number(r); }
};
}  // namespace detail

template <class Side, signal S>
struct sided_signal {
  using limbeck_signal = signal_expression;
  using side = Side;
  S inner;
  std::string describe() const {
    return (std::is_same_v<Side, detail::student_side> ? "of_student(" : "of_teacher(") + detail::described(inner) + ')';
  }
};
template <class F, class... S>
struct signal_node {
  using limbeck_signal = signal_expression;
  F apply;
  std::tuple<S...> operands;
  std::string describe() const { return std::apply([&](const S&... s) { return words({detail::described(s)...}); }, operands); }

 private:
  std::string words(const std::vector<std::string>& s) const {
    std::string symbol;
    if constexpr (requires { F::symbol; }) {
      symbol = F::symbol;
      const bool letters = symbol[0] >= 'a' && symbol[0] <= 'z';
      if (!letters && s.size() == 2) return '(' + s[0] + ' ' + symbol + ' ' + s[1] + ')';
    } else {
      symbol = "map " + detail::described(apply);
    }
    std::string list;
    for (const std::string& x : s) list += (list.empty() ? "" : ", ") + x;
    return symbol + '(' + list + ')';
  }
};
template <schedule N>
struct signal_number {
  using limbeck_signal = signal_expression;
  N number;
  std::string describe() const { return detail::described(number); }
};
template <class Memory, class Read>
struct given_signal {
  using limbeck_signal = signal_expression;
  using memory = Memory;
  Read read;  // of a row's index
  std::size_t size;
  std::string describe() const {
    if constexpr (std::is_same_v<Read, detail::element_of>) {
      return "given(" + std::to_string(size) + " rows)";
    } else {
      return "by_row(" + detail::described(read) + ", " + std::to_string(size) + ')';
    }
  }
};
template <class T, signal S>
struct tempered_signal {
  using limbeck_signal = signal_expression;
  T temperature;
  S inner;
  std::string describe() const {
    return "at_temperature(" + detail::described(temperature) + ", " + detail::described(inner) + ')';
  }
};
/// @endcond

/// The signal read off the student's row.
template <signal S>
constexpr auto of_student(const S& s) {
  return sided_signal<detail::student_side, S>{s};
}
/// The signal read off the teacher's row.
template <signal S>
constexpr auto of_teacher(const S& s) {
  return sided_signal<detail::teacher_side, S>{s};
}

/// A signal that is there already, one number a row: an ensemble's variance, yesterday's losses. A vector, or a tensor
/// of numbers whose type is known at run time. @p values outlive it.
template <class V>
auto given(V&& values) {
  detail::require_kept<V>();
  using Bare = std::remove_cvref_t<V>;
  if constexpr (run_time_tensor<Bare>) {
    const any_vector view = any_tensor_traits<Bare>::view(values).vector("given");
    return given_signal<host_rows, detail::element_of>{{view}, view.size()};
  } else {
    static_assert(!std::is_void_v<detail::vector_element_t<Bare>>,
                  "limbeck: given(v) takes a vector of numbers with data() and size()");
    const any_vector view = detail::view_vector(values);
    return given_signal<detail::vector_memory_t<Bare>, detail::element_of>{{view}, view.size()};
  }
}
/// A signal that a function tells: f(r), a double, of row r of @p rows; it runs on any worker of a sweep on the host.
template <class F>
constexpr auto by_row(const F& f, std::size_t rows) {
  return given_signal<host_rows, F>{f, rows};
}

/// f(s_1, s_2, ...) of one or more signals, f a pure function of doubles (on a device, one that the device can call).
template <class F, signal... S>
  requires(sizeof...(S) > 0)
constexpr auto map(const F& f, const S&... s) {
  return signal_node<F, S...>{f, {s...}};
}

namespace detail {

template <class A>
concept signal_operand = signal<A> || number<A>;
template <class A>
constexpr auto as_signal(const A& a) {
  if constexpr (signal<A>) {
    return a;
  } else {
    return signal_number<decltype(as_schedule(a))>{as_schedule(a)};
  }
}
template <class F, class... A>
constexpr auto node(const F& f, const A&... a) {
  return map(f, as_signal(a)...);
}

// clang-format off
struct adds { static constexpr const char* symbol = "+"; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a + b; } };
struct subtracts { static constexpr const char* symbol = "-"; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a - b; } };
struct multiplies { static constexpr const char* symbol = "*"; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a * b; } };
struct divides { static constexpr const char* symbol = "/"; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a == 0 && b == 0 ? 0 : a / b; } };
struct is_less { static constexpr const char* symbol = "<"; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a < b ? 1 : 0; } };
struct is_not_less { static constexpr const char* symbol = ">="; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a >= b ? 1 : 0; } };
struct both { static constexpr const char* symbol = "&&"; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a != 0 && b != 0 ? 1 : 0; } };
struct either { static constexpr const char* symbol = "||"; LIMBECK_HOST_DEVICE constexpr double operator()(double a, double b) const { return a != 0 || b != 0 ? 1 : 0; } };
struct negates { static constexpr const char* symbol = "-"; LIMBECK_HOST_DEVICE constexpr double operator()(double a) const { return -a; } };
struct inverts { static constexpr const char* symbol = "!"; LIMBECK_HOST_DEVICE constexpr double operator()(double a) const { return a == 0 ? 1 : 0; } };
struct exponential_of { static constexpr const char* symbol = "exp"; LIMBECK_HOST_DEVICE double operator()(double a) const { return std::exp(a); } };
struct logarithm_of { static constexpr const char* symbol = "log"; LIMBECK_HOST_DEVICE double operator()(double a) const { return std::log(a); } };
struct power_of { static constexpr const char* symbol = "pow"; LIMBECK_HOST_DEVICE double operator()(double a, double b) const { return std::pow(a, b); } };
struct clamps {
  static constexpr const char* symbol = "clamp";
  LIMBECK_HOST_DEVICE constexpr double operator()(double a, double low, double high) const {
    return a < low ? low : a > high ? high : a;
  }
};
// clang-format on

template <class A, class B>
concept signal_operands = (signal<A> || signal<B>) && signal_operand<A> && signal_operand<B>;

}  // namespace detail

/// @cond
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator+(const A& a, const B& b) {
  return detail::node(detail::adds{}, a, b);
}
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator-(const A& a, const B& b) {
  return detail::node(detail::subtracts{}, a, b);
}
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator*(const A& a, const B& b) {
  return detail::node(detail::multiplies{}, a, b);
}
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator/(const A& a, const B& b) {
  return detail::node(detail::divides{}, a, b);
}
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator<(const A& a, const B& b) {
  return detail::node(detail::is_less{}, a, b);
}
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator>(const A& a, const B& b) {
  return detail::node(detail::is_less{}, b, a);
}
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator>=(const A& a, const B& b) {
  return detail::node(detail::is_not_less{}, a, b);
}
template <class A, class B>
  requires detail::signal_operands<A, B>
constexpr auto operator<=(const A& a, const B& b) {
  return detail::node(detail::is_not_less{}, b, a);
}
template <signal A, signal B>
constexpr auto operator&&(const A& a, const B& b) {
  return detail::node(detail::both{}, a, b);
}
template <signal A, signal B>
constexpr auto operator||(const A& a, const B& b) {
  return detail::node(detail::either{}, a, b);
}
template <signal A>
constexpr auto operator!(const A& a) {
  return detail::node(detail::inverts{}, a);
}
template <signal A>
constexpr auto operator-(const A& a) {
  return detail::node(detail::negates{}, a);
}
/// @endcond

/// e^s.
template <signal S>
constexpr auto exp(const S& s) {
  return detail::node(detail::exponential_of{}, s);
}
/// log s.
template <signal S>
constexpr auto log(const S& s) {
  return detail::node(detail::logarithm_of{}, s);
}
/// s^k, where one of the two is a signal.
template <class S, class K>
  requires detail::signal_operands<S, K>
constexpr auto pow(const S& s, const K& k) {
  return detail::node(detail::power_of{}, s, k);
}
/// s between two numbers.
template <signal S, detail::signal_operand L, detail::signal_operand H>
constexpr auto clamp(const S& s, const L& low, const H& high) {
  return detail::node(detail::clamps{}, s, low, high);
}

LIMBECK_END_NAMESPACE

#endif
