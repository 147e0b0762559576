#ifndef LIMBECK_ENGINE_TEAM_ROW_HPP
#define LIMBECK_ENGINE_TEAM_ROW_HPP

/// @file
/// What is done to a row as a whole, by the team of threads that shares it: in order, sorted, from either end. For a team of
/// one these are the loops and the sort that one would write.

#include <limbeck/core/team.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// to[i] = from[i], each thread its own.
template <class T, class Team>
LIMBECK_HOST_DEVICE void copy_own(const Team& team, const T* from, std::size_t n, T* to) {
  if constexpr (Team::alone) {
    std::copy_n(from, n, to);
  } else {
    for_own<T>(team, n, [&](std::size_t i) { to[i] = from[i]; });
  }
}

/// Sorts @p n numbers that the team shares, by before(a, b); what was written before is seen, and all see the result. A team
/// sorts by Batcher's bitonic network, in which the lower place always gets what comes first: numbers beyond the n-th, of a
/// whole power of two, would stay where they are. O(n log^2 n) of them.
template <class T, class Team, class Before>
LIMBECK_HOST_DEVICE void sort_row(const Team& team, T* x, std::size_t n, const Before& before) {
  if constexpr (Team::alone) {
    std::sort(x, x + n, before);
  } else {
    const auto each_pair = [&](std::size_t stretch, std::size_t mirror) {  // mirror: from the ends of both halves inwards
      for (std::size_t pair = team.rank();; pair += team.size()) {
        const std::size_t in_half = pair & (stretch - 1), i = 2 * pair - in_half;
        if (i >= n) break;
        const std::size_t j = i + stretch + mirror * (stretch - 1 - 2 * in_half);
        if (j < n && before(x[j], x[i])) {
          const T first = x[j];
          x[j] = x[i];
          x[i] = first;
        }
      }
      team.wait();
    };
    team.wait();
    for (std::size_t sorted = 1; sorted < n; sorted *= 2) {
      each_pair(sorted, 1);
      for (std::size_t apart = sorted / 2; apart > 0; apart /= 2) each_pair(apart, 0);
    }
  }
}

/// state = step(state, i) for i = 0, ..., n - 1 in this order, from @p start: a recursion along the row. @p step may write to
/// its element; who reads what others wrote waits first, before and behind the scan.
///
/// A team cuts the row into stretches: each thread takes the state of its own by `fold`, which is `step` without its effects;
/// join(a, b), of the states of neighbouring stretches, is that of both; then each goes through its stretch from the
/// state before it. @p memory holds a state for every third element and may be what @p step writes.
template <class S, class Team, class Fold, class Join, class Step>
LIMBECK_HOST_DEVICE void scan_row(const Team& team, std::size_t n, const S& start, [[maybe_unused]] S* memory,
                                  [[maybe_unused]] const Fold& fold, [[maybe_unused]] const Join& join, const Step& step) {
  S state = start;
  if constexpr (Team::alone) {
    for (std::size_t i = 0; i < n; ++i) state = step(state, i);
  } else {
    std::size_t length = (n + team.size() - 1) / team.size();
    length = (length < 3 ? 3 : length) | 1;  // odd: neighbours' reads are in different banks of a device's memory
    const std::size_t stretches = (n + length - 1) / length, mine = team.rank();
    const std::size_t first = mine * length, last = first + length < n ? first + length : n;
    if (stretches > 1) {
      S own = start;
      for (std::size_t i = first; i < last; ++i) own = fold(own, i);
      if (mine < stretches) memory[mine] = own;
      team.wait();
      for (std::size_t back = 1; back < stretches; back *= 2) {
        const bool joins = back <= mine && mine < stretches;
        if (joins) own = join(memory[mine - back], own);
        team.wait();
        if (joins) memory[mine] = own;
        team.wait();
      }
      if (0 < mine && mine < stretches) state = memory[mine - 1];
      team.wait();
    }
    for (std::size_t i = first; i < last; ++i) state = step(state, i);
  }
}

/// log(exp(a) + exp(b)); either may be -inf.
template <class T>
LIMBECK_HOST_DEVICE T log_of_sum(T a, T b) {
  const T top = a > b ? a : b, low = a > b ? b : a;
  return low == -std::numeric_limits<T>::infinity() ? top : top + std::log1p(std::exp(low - top));
}

/// The highest of @p n numbers that the team shares; none may be NaN.
template <class T, class Team>
LIMBECK_HOST_DEVICE T highest_in(const Team& team, const T* x, std::size_t n) {
  T top = x[0];
  for_own<T>(team, n, [&](std::size_t i) { top = x[i] > top ? x[i] : top; });
  return highest_over(team, top);
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
