#ifndef LIMBECK_OBJECTIVE_LEARNED_HPP
#define LIMBECK_OBJECTIVE_LEARNED_HPP

/// @file
/// What an objective learns or remembers beside the student: projections, variances, memory banks, temperatures. They
/// belong to the caller; `for_each_learned` finds them in an expression.
///
/// A loss that holds some by address has a member `template <class F> void visit_learned(const F& f) const` that calls
/// f with each, and a nested type `scalar`, that of their parameters.

#include <limbeck/engine/problem.hpp>
#include <limbeck/objective/flatten.hpp>

#include <span>

LIMBECK_BEGIN_NAMESPACE

/// What is learned with the student: `parameters()` and `gradients()`, ranges of spans of one element type and in one
/// order, `zero_gradients()`, and a `serialize`. Calls that want a gradient *add* to its gradients.
template <class P>
concept learned_part = requires(P& p) {
  std::span(*std::begin(p.parameters()));
  std::span(*std::begin(p.gradients()));
  p.zero_gradients();
};

/// @cond
namespace detail {

/// f(part) for what the terms of @p e hold, f(temperature, number) for its learned temperatures; the number counts the
/// at_temperature before it.
template <std::size_t Before = 0, class E, class F, class G>
void visit_learned(const E& e, const F& on_part, const G& on_temperature) {
  if constexpr (is<E, composite>) {
    visit_learned<Before>(e.terms(), on_part, on_temperature);
  } else if constexpr (!is<E, expression>) {
    if constexpr (requires { e.visit_learned(on_part); }) e.visit_learned(on_part);
  } else if constexpr (requires {
                         e.first;
                         e.second;
                       }) {
    visit_learned<Before>(e.first, on_part, on_temperature);
    visit_learned<Before + temperatures_in<decltype(e.first)>()>(e.second, on_part, on_temperature);
  } else if constexpr (requires {
                         e.student;
                         e.teacher;
                         e.inner;
                       }) {
    on_temperature(e.student, std::integral_constant<std::size_t, 2 * Before>{});
    if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(e.teacher)>, same_temperature>)
      on_temperature(e.teacher, std::integral_constant<std::size_t, 2 * Before + 1>{});
    visit_learned<Before + 1>(e.inner, on_part, on_temperature);
  } else {
    visit_learned<Before>(e.inner, on_part, on_temperature);
  }
}

template <class T>
inline constexpr bool is_learned_parameter = requires(const T& t) {
  t.parameter->pull_back(1.0);
};

/// An objective that is called on the rows of all ranks (over_ranks.hpp); what it is on one machine is its `inner`.
template <class E>
inline constexpr bool calls_over_ranks = requires { typename std::remove_cvref_t<E>::limbeck_over_ranks; };

/// Where a learned temperature stands in `evaluation::temperature_gradient`.
template <class Slot, class... All>
constexpr std::size_t learned_before(key_list<All...>) {
  std::size_t n = 0;
  bool found = false;
  ((found = found || std::is_same_v<Slot, All>, n += !found && is_learned<All>), ...);
  return n;
}

/// What a temperature learns of its derivative: all, or its reverse, as strong as it is at this progress.
template <class T>
double learned_share(const T& t, double progress) {
  if constexpr (requires { t.strength; }) {
    const double strength = t.strength(progress);
    if (!(strength >= 0 && strength < 1e300))
      raise<value_error>("limbeck: adversarial: the strength is " + show(strength) + ", expected a number of at least 0");
    return -strength;
  } else {
    return 1;
  }
}

/// Hands @p share of the derivatives of a call to the temperatures that learn.
template <class E>
void pull_back_temperatures(const E& e, const evaluation& of_call, double share, double progress) {
  using Plan = typename plan_of<std::remove_cvref_t<decltype(flatten(e, context<>{}))>>::type;
  visit_learned(
      e, [](auto&) {},
      [&](const auto& t, auto number) {
        using Slot = learned_slot<decltype(number)::value>;
        if constexpr (is_learned_parameter<std::remove_cvref_t<decltype(t)>> &&
                      Plan::slot_keys::template contains<Slot>)
          t.parameter->pull_back(share * learned_share(t, progress) *
                                 of_call.temperature_gradient[learned_before<Slot>(typename Plan::slot_keys{})]);
      });
}

}  // namespace detail
/// @endcond

/// f(part) for each thing that the losses of @p e hold by address and learn or remember, in order of appearance; one
/// that several losses hold comes several times. @p e is a loss, one of all ranks (`batch_over(world, loss)`), or a
/// callable that is neither (then there are none).
template <class E, class F>
void for_each_learned(const E& e, const F& f) {
  if constexpr (loss<E>) {
    detail::visit_learned(e, f, [&](const auto& t, auto) {
      if constexpr (detail::is_learned_parameter<std::remove_cvref_t<decltype(t)>>) f(*t.parameter);
    });
  } else if constexpr (detail::calls_over_ranks<E>) {
    for_each_learned(e.inner, f);
  }
}

LIMBECK_END_NAMESPACE

#endif
