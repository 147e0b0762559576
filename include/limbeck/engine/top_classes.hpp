#ifndef LIMBECK_ENGINE_TOP_CLASSES_HPP
#define LIMBECK_ENGINE_TOP_CLASSES_HPP

/// @file
/// The classes of a row with the highest logits, in the sweep: what the domains of the teacher's top are made of.

#include <limbeck/core/config.hpp>
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

/// Writes to @p ranks, of whole packs, what rank each of @p classes has among the @p k highest of @p x that are above
/// @p least: 0 is the highest, of equal ones the first; +inf where it has none. @p best holds k. NaN has no rank.
/// O(classes) where the order is random, O(classes log k) at worst.
template <class Lanes, class T = typename Lanes::scalar>
LIMBECK_INLINE void rank_classes(const T* x, std::size_t classes, std::size_t k, T least, placed<T>* best, T* ranks) {
  constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
  constexpr T nothing = std::numeric_limits<T>::infinity();
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
    Lanes::store(ranks + c, Lanes::broadcast(nothing));
    if (Lanes::highest(Lanes::load(x + c)) > bound)
      for (std::size_t i = 0; i < lanes; ++i) consider(c + i);
  }
  if (c < classes) Lanes::store(ranks + c, Lanes::broadcast(nothing));
  for (; c < classes; ++c) consider(c);
  std::sort(best, best + found);
  for (std::size_t i = 0; i < found; ++i) ranks[best[i].place] = static_cast<T>(i);
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
