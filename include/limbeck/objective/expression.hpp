#ifndef LIMBECK_OBJECTIVE_EXPRESSION_HPP
#define LIMBECK_OBJECTIVE_EXPRESSION_HPP

/// @file
/// How losses compose: `0.1 * cross_entropy{} + 0.9 * at_temperature(4.0, forward_kl{} + 0.3 * reverse_kl{})`.
///
/// A sum of losses is a loss. The tree is a value that holds settings only; `detail::flatten` turns it, once a call,
/// into the list of terms that the planner reads.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/number.hpp>
#include <limbeck/engine/plan.hpp>
#include <limbeck/objective/names.hpp>
#include <limbeck/signal/expression.hpp>
#include <limbeck/temperature/learned.hpp>
#include <limbeck/temperature/standardized.hpp>
#include <limbeck/temperature/temperature.hpp>

#include <string_view>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// The nested name of a loss that is made by the operators below.
struct expression {};

/// Anything with a nested `limbeck_loss`: a policy or a composition of policies.
template <class L>
concept loss = requires { typename std::remove_cvref_t<L>::limbeck_loss; };

class plan_text;

/// What every composition can do; the arguments are described in `objective/objective.hpp`.
template <class Self>
struct callable {
  /// Value and gradient with respect to the student's logits: `evaluation`, written into `into(g)`; without `into`, an
  /// `evaluation_with_gradient`, which unpacks as `auto [loss, gradient]`.
  template <class... Args>
  LIMBECK_OF_COMPILER auto operator()(Args&&... args) const;
  /// The value alone, a double.
  template <class... Args>
  LIMBECK_OF_COMPILER auto value(Args&&... args) const;
  /// The terms one by one: value, weight and size of the gradient of each. For a look, not for the inner loop.
  template <class... Args>
  LIMBECK_OF_COMPILER auto report(Args&&... args) const;
  /// Which statistics the objective needs at this progress, what is shared, and what a row costs. Printable.
  plan_text plan(double progress = 0) const;
};

/// @cond
template <schedule W, loss E>
struct weighted_loss : callable<weighted_loss<W, E>> {
  using limbeck_loss = expression;
  W weight;
  E inner;
  constexpr weighted_loss(W w, E e) : weight(std::move(w)), inner(std::move(e)) {}
};
template <class Who, signal S, loss E>
struct signal_weighted_loss : callable<signal_weighted_loss<Who, S, E>> {
  using limbeck_loss = expression;
  using side = Who;  // of signals that name none
  S weighing;
  E inner;
  constexpr signal_weighted_loss(S s, E e) : weighing(std::move(s)), inner(std::move(e)) {}
};
template <loss A, loss B>
struct sum_of_losses : callable<sum_of_losses<A, B>> {
  using limbeck_loss = expression;
  A first;
  B second;
  constexpr sum_of_losses(A a, B b) : first(std::move(a)), second(std::move(b)) {}
};
template <class S, class U, loss E>
struct tempered_loss : callable<tempered_loss<S, U, E>> {
  using limbeck_loss = expression;
  S student;
  U teacher;
  E inner;
  constexpr tempered_loss(S s, U u, E e) : student(std::move(s)), teacher(std::move(u)), inner(std::move(e)) {}
};
template <class Domain, loss E>
struct domain_loss : callable<domain_loss<Domain, E>> {
  using limbeck_loss = expression;
  using domain = Domain;
  E inner;
  constexpr explicit domain_loss(E e) : inner(std::move(e)) {}
};
template <fixed_string Name, loss E>
struct named_loss : callable<named_loss<Name, E>> {
  using limbeck_loss = expression;
  static constexpr auto name = Name;
  E inner;
  constexpr explicit named_loss(E e) : inner(std::move(e)) {}
};
template <loss E>
struct unscaled_loss : callable<unscaled_loss<E>> {
  using limbeck_loss = expression;
  static constexpr bool takes_scale_away = true;
  E inner;
  constexpr explicit unscaled_loss(E e) : inner(std::move(e)) {}
};
template <auto Member, class X, loss E>
struct setting_loss : callable<setting_loss<Member, X, E>> {
  using limbeck_loss = expression;
  static constexpr auto member = Member;
  X setting;
  E inner;
  constexpr setting_loss(X x, E e) : setting(std::move(x)), inner(std::move(e)) {}
};
struct same_temperature {};

namespace detail {
/// At which output of the student, and of the teacher; @p Both: at two outputs of the student, which both have a gradient.
template <fixed_string Student, fixed_string Teacher, bool Both = false>
struct at_place {
  static constexpr std::string_view student = Student.view(), teacher = Teacher.view();
  static constexpr bool both = Both;
};
/// The nested name of a loss between layers whose number is known at run time, see objective/layered.hpp.
struct layered {};
}  // namespace detail
/// @endcond

/// A loss as an objective: adds the calls to a bare policy, and lets one from another namespace take part in `w * loss`
/// and `a + b`. `objective kl{forward_kl{}};`
template <loss E>
struct objective : callable<objective<E>> {
  using limbeck_loss = expression;
  E inner;  ///< the loss
  /// The policy @p e, callable.
  constexpr explicit objective(E e) : inner(std::move(e)) {}
};
/// @cond
template <loss E>
objective(E) -> objective<E>;
/// @endcond

/// w * loss; w is a constant or a schedule.
template <number W, loss E>
constexpr auto operator*(const W& w, const E& e) {
  return weighted_loss<decltype(as_schedule(w)), E>(as_schedule(w), e);
}
/// signal * loss: each row of the losses inside is multiplied by a number that the sweep reads off it, held fixed:
/// `(of_teacher(confidence{}) > 0.9) * forward_kl{}`. The mean is still over all valid rows. The signal is read at
/// the temperature of the place where it stands.
template <signal S, loss E>
constexpr auto operator*(const S& s, const E& e) {
  return signal_weighted_loss<void, S, E>(s, e);
}
/// a + b.
template <loss A, loss B>
constexpr auto operator+(const A& a, const B& b) {
  return sum_of_losses<A, B>(a, b);
}
/// a - b.
template <loss A, loss B>
constexpr auto operator-(const A& a, const B& b) {
  return a + (-1.0) * b;
}

/// @cond
// What is not a loss or a number gets a sentence instead of a list of candidates.
template <class W, loss E>
  requires(!number<W> && !signal<W>)
constexpr E operator*(const W&, const E& e) {
  static_assert(!loss<E>,
                "limbeck: the weight of a loss is a number, a schedule or a signal; this left operand of * is none");
  return e;
}
template <loss E, class W>
  requires(!loss<W>)
constexpr E operator*(const E& e, const W&) {
  static_assert(!loss<E>, "limbeck: the weight of a loss stands on its left, as in 0.5 * forward_kl{}");
  return e;
}
template <loss E, class W>
  requires(!loss<W>)
constexpr E operator/(const E& e, const W&) {
  static_assert(!loss<E>, "limbeck: the weight of a loss stands on its left: 0.5 * loss in the place of loss / 2");
  return e;
}
template <loss E>
constexpr E operator-(const E& e) {
  static_assert(!loss<E>, "limbeck: a loss has no sign of its own; write -1.0 * loss, or a - b");
  return e;
}
template <loss A, class B>
  requires(!loss<B>)
constexpr A operator+(const A& a, const B&) {
  static_assert(!loss<A>, "limbeck: only a loss can be added to a loss; this right operand of + is none");
  return a;
}
template <class A, loss B>
  requires(!loss<A>)
constexpr B operator+(const A&, const B& b) {
  static_assert(!loss<B>, "limbeck: only a loss can be added to a loss; this left operand of + is none");
  return b;
}
/// @endcond

namespace detail {

template <class E>
constexpr std::size_t temperatures_in();

template <class E>
struct count_temperatures {
  static constexpr std::size_t value = [] {
    if constexpr (is<E, composite>) {
      return temperatures_in<decltype(std::declval<const E&>().terms())>();
    } else if constexpr (!is<E, expression>) {
      return std::size_t{0};
    } else if constexpr (requires(const E& e) { e.first; e.second; }) {
      return temperatures_in<decltype(E::first)>() + temperatures_in<decltype(E::second)>();
    } else if constexpr (requires(const E& e) { e.student; e.inner; }) {
      return 1 + temperatures_in<decltype(E::inner)>();
    } else {
      return temperatures_in<decltype(E::inner)>();
    }
  }();
};
template <class E>
constexpr std::size_t temperatures_in() {
  return count_temperatures<std::remove_cvref_t<E>>::value;
}

/// A part of an objective, see objective/parts.hpp.
template <class E>
inline constexpr bool is_part = requires { typename E::limbeck_part; };

/// Whether a loss inside stands at an output.
template <class E>
constexpr bool has_places() {
  if constexpr (is<E, layered>) {
    return true;
  } else if constexpr (!is<E, expression> || is_part<E>) {
    return false;
  } else if constexpr (requires(const E& e) { e.first; e.second; }) {
    return has_places<decltype(E::first)>() || has_places<decltype(E::second)>();
  } else if constexpr (requires { typename E::place; }) {
    return true;
  } else {
    return has_places<decltype(E::inner)>();
  }
}

/// Whether a number, a temperature or a signal changes with progress.
template <class N>
constexpr bool changes() {
  if constexpr (std::is_same_v<N, constant>) {
    return false;
  } else if constexpr (schedule<N>) {
    return true;
  } else if constexpr (requires(const N& s) { s.temperature; s.inner; }) {
    return changes<std::remove_cvref_t<decltype(N::temperature)>>() || changes<std::remove_cvref_t<decltype(N::inner)>>();
  } else if constexpr (requires(const N& s) { s.of_rows; s.share; }) {
    return changes<std::remove_cvref_t<decltype(N::of_rows)>>() || changes<std::remove_cvref_t<decltype(N::share)>>();
  } else if constexpr (requires(const N& s) { s.inner; }) {
    return changes<std::remove_cvref_t<decltype(N::inner)>>();
  } else if constexpr (requires(const N& s) { s.number; }) {
    return changes<std::remove_cvref_t<decltype(N::number)>>();
  } else if constexpr (requires(const N& s) { s.operands; }) {
    return []<class... X>(const std::tuple<X...>*) {
      return (changes<X>() || ...);
    }(static_cast<const std::remove_cvref_t<decltype(N::operands)>*>(nullptr));
  } else {
    return false;
  }
}
/// Whether an expression has a schedule that changes with progress, anywhere.
template <class E>
constexpr bool is_scheduled() {
  if constexpr (is<E, composite>) {
    return is_scheduled<std::remove_cvref_t<decltype(std::declval<const E&>().terms())>>();
  } else if constexpr (is<E, layered>) {
    return is_scheduled<typename E::loss_type>();
  } else if constexpr (!is<E, expression>) {
    if constexpr (requires { typename E::inner_type; }) return is_scheduled<typename E::inner_type>();
    return false;
  } else if constexpr (is_part<E>) {
    return is_scheduled<typename E::whole_type>();
  } else if constexpr (requires(const E& e) { e.first; e.second; }) {
    return is_scheduled<decltype(E::first)>() || is_scheduled<decltype(E::second)>();
  } else if constexpr (requires(const E& e) { e.student; e.teacher; e.inner; }) {
    return changes<decltype(E::student)>() || changes<decltype(E::teacher)>() || is_scheduled<decltype(E::inner)>();
  } else if constexpr (requires(const E& e) { e.setting; e.inner; }) {
    return changes<decltype(E::setting)>() || is_scheduled<decltype(E::inner)>();
  } else if constexpr (requires(const E& e) { e.weighing; e.inner; }) {
    return changes<decltype(E::weighing)>() || is_scheduled<decltype(E::inner)>();
  } else if constexpr (requires(const E& e) { e.weight; e.inner; }) {
    return changes<decltype(E::weight)>() || is_scheduled<decltype(E::inner)>();
  } else {
    return is_scheduled<decltype(E::inner)>();
  }
}

template <class T>
constexpr void require_temperature() {
  static_assert(temperature<T> || signal<T>,
                "limbeck: the first argument of at_temperature is no temperature; give a number, a schedule, "
                "fixed<4>, per_row{}, learned(T), standardized(T) or a signal");
}
template <class E>
constexpr void require_no_temperature() {
  static_assert(temperatures_in<E>() == 0,
                "limbeck: this loss has its temperature already; at_temperature stands around losses that have none");
}
template <class T>
constexpr auto temperature_value(const T& t) {
  if constexpr (number<T>) {
    return as_schedule(t);
  } else {
    return t;
  }
}

}  // namespace detail

/// The loss (or sum of losses) with q = softmax(s/T) and p = softmax(t/T). All losses inside share these softmaxes. T is a
/// number, a schedule, `fixed<4>{}`, `per_row{}`, `learned(T)`, `standardized(T)`, or a signal, which gives each row its own
/// (in a sweep of its own before: a row's exponentials need its temperature first). Each is multiplied by T to the
/// power that it declares, so that its gradient keeps its size; `unscaled` turns that off.
template <class T, loss E>
constexpr auto at_temperature(const T& t, const E& e) {
  detail::require_temperature<T>();
  detail::require_no_temperature<E>();
  using S = decltype(detail::temperature_value(t));
  return tempered_loss<S, same_temperature, E>(detail::temperature_value(t), {}, e);
}
/// The same with a temperature for the student and another for the teacher; the factor is the student's.
template <class S, class U, loss E>
constexpr auto at_temperature(const S& student, const U& teacher, const E& e) {
  detail::require_temperature<S>();
  detail::require_temperature<U>();
  detail::require_no_temperature<E>();
  return tempered_loss<decltype(detail::temperature_value(student)), decltype(detail::temperature_value(teacher)), E>(
      detail::temperature_value(student), detail::temperature_value(teacher), e);
}

/// A signal of p = softmax(x/T), to be measured: `measure(at_temperature(2.0, entropy{}), logits, out)`.
template <class T, signal S>
constexpr auto at_temperature(const T& t, const S& s) {
  detail::require_temperature<T>();
  return tempered_signal<decltype(detail::temperature_value(t)), S>{detail::temperature_value(t), s};
}

/// The pointwise losses inside over a domain of classes: `on<non_target>(forward_kl{})`, `on<masked>(...)`,
/// `on<top_of_teacher<50>>(...)`, `on<top_of_teacher_and_rest<50>>(...)`.
template <class Domain, loss E>
constexpr auto on(const E& e) {
  return domain_loss<Domain, E>(e);
}

/// Gives the terms inside a name, for plan and report: `named<"soft">(forward_kl{})`.
template <fixed_string Name, loss E>
constexpr auto named(const E& e) {
  return named_loss<Name, E>(e);
}

namespace detail {

template <class C, class V>
C class_of_member(V C::*);
template <class E>
struct settled_loss {
  using type = E;
};
template <auto Member, class X, class E>
struct settled_loss<setting_loss<Member, X, E>> : settled_loss<E> {};
template <auto Option, class E>
inline constexpr bool sets_option = false;
template <auto Option, auto Member, class X, class E>
inline constexpr bool sets_option<Option, setting_loss<Member, X, E>> = [] {
  if constexpr (std::is_same_v<decltype(Option), decltype(Member)>) {
    return Option == Member || sets_option<Option, E>;
  } else {
    return sets_option<Option, E>;
  }
}();
/// The policy that `with` is around, however many there are.
template <class E>
using settled_loss_t = typename settled_loss<E>::type;

}  // namespace detail

/// A policy of which one option is no constant: `with<&skew_kl::alpha>(linear(0.1, 0.01), skew_kl{})` by a schedule,
/// `with<&skew_kl::alpha>(given(alphas), skew_kl{})` by a signal, which gives each row its own. Several stand one around another.
///
/// @tparam Option a member of the policy, of floating point
/// @param x a number, a schedule, or a signal (of a side: `of_student(...)`, `of_teacher(...)`; at the temperature of the place)
/// @param e the policy, or a `with` around it; what the option is in it counts for rows of weight 0 only
/// @throws (in a call) value_error where a row's number is not finite, or one that the policy refuses; on a device the range is
/// not looked at: `clamp` the signal.
///
/// A signal sets options of losses of rows only; a batchwise or composite loss has one number a call. Held fixed: no gradient
/// flows through the signal.
template <auto Option, class X, loss E>
constexpr auto with(const X& x, const E& e) {
  using Loss = detail::settled_loss_t<E>;
  static_assert(!std::is_same_v<typename Loss::limbeck_loss, expression>,
                "limbeck: with<&policy::option>(x, policy) stands around a policy itself; temperatures, weights and sums stand around it");
  static_assert(std::is_member_object_pointer_v<decltype(Option)>, "limbeck: with<&policy::option> takes the option by its member pointer");
  static_assert(std::is_base_of_v<decltype(detail::class_of_member(Option)), Loss>,
                "limbeck: with<&policy::option>(x, loss): this loss is another than that of the option");
  static_assert(std::is_floating_point_v<std::remove_cvref_t<decltype(std::declval<Loss&>().*Option)>>,
                "limbeck: with<&policy::option> sets options that are numbers of floating point");
  static_assert(!detail::sets_option<Option, E>, "limbeck: with<&policy::option>: this option is set twice");
  static_assert(number<X> || signal<X>, "limbeck: with<&policy::option>(x, loss): x is a number, a schedule or a signal");
  static_assert(!signal<X> || !(std::is_same_v<typename Loss::limbeck_loss, batchwise> || std::is_same_v<typename Loss::limbeck_loss, composite>),
                "limbeck: a signal is a setting of losses of rows; an option of a batchwise or composite loss is a number or a schedule");
  using Setting = decltype(detail::temperature_value(x));
  return setting_loss<Option, Setting, E>(detail::temperature_value(x), e);
}

/// The losses inside without the factor T^k that would keep the size of their gradients.
template <loss E>
constexpr auto unscaled(const E& e) {
  return unscaled_loss<E>(e);
}

LIMBECK_END_NAMESPACE

#endif
