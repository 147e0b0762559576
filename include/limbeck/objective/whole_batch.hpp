#ifndef LIMBECK_OBJECTIVE_WHOLE_BATCH_HPP
#define LIMBECK_OBJECTIVE_WHOLE_BATCH_HPP

/// @file
/// Calls whose rows are a part of a batch that is elsewhere: an argument (`batch_over`, ranks/batches.hpp) shows them the whole. Who that
/// is and how it comes together, objectives do not know.

#include <limbeck/objective/parts.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// An argument of the whole call, which lends the calls inside of it one that shows the whole.
template <class A>
inline constexpr bool is_meeting = requires { typename std::remove_cvref_t<A>::limbeck_meets; };
template <class... A>
inline constexpr bool has_meeting = (is_meeting<A> || ...);

template <class A, class... Rest>
auto& meeting_of(A& a, Rest&... rest) {
  if constexpr (is_meeting<A>) {
    return a;
  } else {
    return meeting_of(rest...);
  }
}
/// f(the arguments of a call, the one that has brought ranks together replaced by what it lends).
template <class F, class... A>
auto with_meeting(const F& f, A&... args) {
  static_assert((std::size_t{is_meeting<A>} + ...) == 1,
                "limbeck: a call's rows are over ranks by batch_over(world), or its classes are by classes_over(world): one of them, once");
  return meeting_of(args...).meet([&](auto& met) {
    const auto replaced = [&]<class X>(X& x) -> auto& {
      if constexpr (is_meeting<X>) {
        return met;
      } else {
        return x;
      }
    };
    return f(replaced(args)...);
  });
}

/// What shows the whole, among the arguments of a call.
template <class A, class... Rest>
auto& whole_batch_of(A& a, Rest&... rest) {
  if constexpr (std::is_same_v<typename role_of<std::remove_cvref_t<A>>::type, batch_over_tag>) {
    return a;
  } else {
    return whole_batch_of(rest...);
  }
}

/// A call on a part that makes its gradient: before the whole is there.
template <class First, class... Rest>
inline constexpr bool wants_gradient_of_part =
    tensor<std::remove_cvref_t<First>> && has_tag<batch_over_tag, std::remove_cvref_t<Rest>...> &&
    !has_tag<gradient_tag, std::remove_cvref_t<Rest>...>;

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
