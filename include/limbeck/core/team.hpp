#ifndef LIMBECK_CORE_TEAM_HPP
#define LIMBECK_CORE_TEAM_HPP

/// @file
/// Teams: the threads that share a row. What is done to a row is written once over a team; on the host a row has one thread,
/// on a device a few lanes of a warp, a block, or several blocks. Algorithms ask five things of a team:
///
/// - `rank()` of `size()` threads, each of which takes `width<T>` neighbouring elements at a time;
/// - `sum(a)`, `highest(a)`: over the team, element by element of a `team_array`; every thread gets the result;
/// - `wait()`: what any thread wrote before, all may read after.
///
/// All threads of a team call the last two together. The order of every sum is fixed, and its bits are the same in all of them; of the highest of 0 and -0 each may get either.
/// Where a team's memory is in several parts, `part()` says which elements are in that of a thread.

#include <limbeck/core/config.hpp>

#include <cstddef>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

template <class T, std::size_t N>
struct team_array {
  T v[N];
};

/// One thread: a row of the host.
struct single_team {
  static constexpr bool alone = true;
  template <class T>
  static constexpr std::size_t width = 1;
  LIMBECK_HOST_DEVICE static constexpr std::size_t rank() { return 0; }
  LIMBECK_HOST_DEVICE static constexpr std::size_t size() { return 1; }
  template <class A>
  LIMBECK_HOST_DEVICE A sum(const A& a) const {
    return a;
  }
  template <class A>
  LIMBECK_HOST_DEVICE A highest(const A& a) const {
    return a;
  }
  LIMBECK_HOST_DEVICE static constexpr void wait() {}
};

/// Elements [first, last) stand in one part of a team's memory.
struct team_part {
  std::size_t first, last;
};
/// The elements that one thread takes: as many neighbours as it has width, every `step`.
struct own_elements {
  std::size_t first, last, step;
};
template <class T, class Team>
LIMBECK_HOST_DEVICE own_elements own_of(const Team& team, std::size_t n) {
  constexpr std::size_t W = Team::template width<T>;
  if constexpr (requires { team.part(); }) {
    const team_part part = team.part();
    return {part.first + team.rank_in_part() * W, part.last < n ? part.last : n, team.size_of_part() * W};
  } else {
    return {team.rank() * W, n, team.size() * W};
  }
}

/// The same elements shared out singly, neighbours to neighbours, within each part: what one takes so, another owns.
template <class Team>
LIMBECK_HOST_DEVICE own_elements neighbours_of(const Team& team, std::size_t n) {
  if constexpr (requires { team.part(); }) {
    const team_part part = team.part();
    return {part.first + team.rank_in_part(), part.last < n ? part.last : n, team.size_of_part()};
  } else {
    return {team.rank(), n, team.size()};
  }
}

/// f(i) for those of @p n elements of type T that this thread takes. They are the same in every such loop, so that a thread
/// reads what it wrote without a wait.
template <class T, class Team, class F>
LIMBECK_HOST_DEVICE void for_own(const Team& team, std::size_t n, F&& f) {
  constexpr std::size_t W = Team::template width<T>;
  if constexpr (Team::alone) {
    for (std::size_t i = 0; i < n; ++i) f(i);
  } else {
    const own_elements own = own_of<T>(team, n);
    for (std::size_t first = own.first; first < own.last; first += own.step)
      for (std::size_t i = first; i < first + W && i < own.last; ++i) f(i);
  }
}
/// The sum of f(i) over all @p n, taken in numbers of type V.
template <class T, class V, class Team, class F>
LIMBECK_HOST_DEVICE V sum_own(const Team& team, std::size_t n, F&& f) {
  V total(0);
  for_own<T>(team, n, [&](std::size_t i) { total += f(i); });
  return team.sum(team_array<V, 1>{{total}}).v[0];
}
/// The sum of one number of each thread.
template <class Team, class V>
LIMBECK_HOST_DEVICE V sum_over(const Team& team, const V& x) {
  return team.sum(team_array<V, 1>{{x}}).v[0];
}
/// The highest of them.
template <class Team, class V>
LIMBECK_HOST_DEVICE V highest_over(const Team& team, const V& x) {
  return team.highest(team_array<V, 1>{{x}}).v[0];
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
