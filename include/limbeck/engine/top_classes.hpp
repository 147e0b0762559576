#ifndef LIMBECK_ENGINE_TOP_CLASSES_HPP
#define LIMBECK_ENGINE_TOP_CLASSES_HPP

/// @file
/// The classes of a row with the highest logits, in the sweep: what the domains of the teacher's top, and losses of the top,
/// are made of.

#include <limbeck/core/config.hpp>
#include <limbeck/core/team.hpp>
#include <limbeck/engine/instruction_set.hpp>
#include <limbeck/engine/pack.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// A number of a row and its place.
template <class T>
struct placed {
  T value;
  std::uint32_t place;
  friend bool operator<(const placed& a, const placed& b) {  // a comes first
    return a.value > b.value || (a.value == b.value && a.place < b.place);
  }
};

/// Writes to @p best, which has room for @p k, the highest numbers of @p x that are above @p least, the highest first, of equal
/// ones the first; returns how many there are. NaN is none of them. each(c) comes before the whole pack at c is looked at, and
/// before the rest. O(classes) where the order is random, O(classes log k) at worst.
template <class Lanes, class T = typename Lanes::scalar, class Each>
LIMBECK_INLINE std::size_t find_highest(const T* x, std::size_t classes, std::size_t k, T least, placed<T>* best,
                                        const Each& each) {
  constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
  std::size_t found = 0;
  T bound = least;  // what the next has to exceed
  const auto consider = [&](std::size_t c) LIMBECK_LAMBDA_INLINE {
    if (!(x[c] > bound)) return;
    const placed<T> mine{x[c], static_cast<std::uint32_t>(c)};
    if (found < k) {
      best[found++] = mine;
      if (found == k) std::make_heap(best, best + k);
    } else {  // the last of the best gives way
      std::pop_heap(best, best + k);
      best[k - 1] = mine;
      std::push_heap(best, best + k);
    }
    if (found == k) bound = best[0].value;
  };
  std::size_t c = 0;
  for (; c + lanes <= classes; c += lanes) {
    each(c);
    if (Lanes::highest(Lanes::load(x + c)) > bound)
      for (std::size_t i = 0; i < lanes; ++i) consider(c + i);
  }
  if (c < classes) each(c);
  for (; c < classes; ++c) consider(c);
  std::sort(best, best + found);
  return found;
}

/// Writes to @p ranks, of whole packs, what rank each of @p classes has among the @p k highest of @p x that are above
/// @p least: 0 is the highest; +inf where it has none. @p best holds k.
template <class Lanes, class T = typename Lanes::scalar>
LIMBECK_INLINE void rank_classes(const T* x, std::size_t classes, std::size_t k, T least, placed<T>* best, T* ranks) {
  const std::size_t found = find_highest<Lanes>(x, classes, k, least, best, [&](std::size_t c) LIMBECK_LAMBDA_INLINE {
    Lanes::store(ranks + c, Lanes::broadcast(std::numeric_limits<T>::infinity()));
  });
  for (std::size_t i = 0; i < found; ++i) ranks[best[i].place] = static_cast<T>(i);
}

/// Which of a row's numbers have been picked: those up to @p last in falling order, of equal ones the first.
template <class T>
struct picked {
  std::size_t count = 0;
  T value = std::numeric_limits<T>::infinity();  // the last one's
  std::int64_t place = -1;
  /// Whether the number @p x at @p c comes behind them; never NaN.
  LIMBECK_HOST_DEVICE bool before(T x, std::size_t c) const {
    return x < value || (x == value && static_cast<std::int64_t>(c) > place);
  }
};

/// pick(i, c) for the i-th highest of the numbers above @p least, at the place c, by the thread that takes c; i = 0, ...,
/// @p k - 1, or as many as there are. A round a number: the thread whose own was picked looks for its next.
template <class T, class Team, class Pick>
LIMBECK_HOST_DEVICE picked<T> pick_highest(const Team& team, const T* x, std::size_t classes, std::size_t k, T least,
                                           const Pick& pick) {
  constexpr std::int64_t no_place = (std::numeric_limits<std::int64_t>::max)();
  picked<T> done;
  T mine;
  std::int64_t place;
  const auto look = [&] {
    mine = least, place = no_place;
    for_own<T>(team, classes, [&](std::size_t c) {
      if (x[c] > mine && done.before(x[c], c)) mine = x[c], place = static_cast<std::int64_t>(c);
    });
  };
  look();
  for (; done.count < k; ++done.count) {
    const T highest = highest_over(team, mine);
    if (!(highest > least)) break;
    done.value = highest;
    done.place = -highest_over(team, mine == highest ? -place : -no_place);
    if (place == done.place) {
      pick(done.count, static_cast<std::size_t>(place));
      look();
    }
  }
  return done;
}

/// The ranks of `rank_classes` for the K highest, by a team; each thread writes those of its own classes.
template <std::size_t K, class T, class Team>
LIMBECK_HOST_DEVICE void rank_classes(const Team& team, const T* x, std::size_t classes, T least, T* ranks) {
  if constexpr (Team::alone) {
    placed<T> best[K];
    rank_classes<scalar_lanes<T>>(x, classes, K, least, best, ranks);
  } else {
    for_own<T>(team, classes, [&](std::size_t c) { ranks[c] = std::numeric_limits<T>::infinity(); });
    pick_highest(team, x, classes, K, least, [&](std::size_t i, std::size_t c) { ranks[c] = static_cast<T>(i); });
  }
}

/// Writes the places of the @p k highest numbers above @p least to @p places, as numbers: the highest first, of equal ones the
/// first; returns how many there are, and all threads see them. @p places has room for 2 k numbers, of which the first stay.
LIMBECK_CALLS_ANY
template <class T, class Team>
LIMBECK_HOST_DEVICE std::size_t list_highest(const Team& team, const T* x, std::size_t classes, std::size_t k, T least, T* places) {
  if constexpr (Team::alone) {
    static_assert(sizeof(placed<T>) <= 2 * sizeof(T) && alignof(placed<T>) <= alignof(T));
    auto* const best = reinterpret_cast<placed<T>*>(places);
    std::size_t found = 0;
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      found = find_highest<host_lanes<T, Isa>>(x, classes, k, least, best, [](std::size_t) LIMBECK_LAMBDA_INLINE {});
    });
    for (std::size_t i = 0; i < found; ++i) {
      const std::uint32_t place = best[i].place;  // read before it is overwritten
      places[i] = static_cast<T>(place);
    }
    return found;
  } else {
    const picked<T> done =
        pick_highest(team, x, classes, k, least, [&](std::size_t i, std::size_t c) { places[i] = static_cast<T>(c); });
    team.wait();
    return done.count;
  }
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
