#ifndef LIMBECK_SELECTION_TOP_SHARE_HPP
#define LIMBECK_SELECTION_TOP_SHARE_HPP

/// @file
/// The rows with the largest numbers, a share of them by count.

#include <limbeck/selection/quantile.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
template <class Mask>
std::size_t top_share_mask(const any_vector& x, double share, const any_vector& used, Mask& mask, workspace& ws) {
  check_fraction("share", share);
  if (!used.empty() && used.size() != x.size()) throw_length("used", used.size(), x.size());
  const auto out = output_vector("mask", mask, x.size());
  const auto counts = [&](std::size_t i) { return used.empty() || used.number(i) != 0; };
  scratch memory(ws);
  const std::span<double> copy = memory.take<double>(x.size());
  std::size_t n = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!counts(i)) continue;
    copy[n++] = x.number(i);
    if (copy[n - 1] != copy[n - 1])
      raise<value_error>("limbeck: the value at position " + std::to_string(i) + " is nan");
  }
  const std::size_t share_of_all = static_cast<std::size_t>(share * static_cast<double>(n));
  const std::size_t keep = n == 0 ? 0 : (std::max)(share_of_all, std::size_t{1});
  double last = 0;  // the smallest number that is kept
  std::size_t ties = 0;
  if (keep > 0) {
    const auto kth = copy.begin() + static_cast<std::ptrdiff_t>(keep - 1);
    std::nth_element(copy.begin(), kth, copy.begin() + static_cast<std::ptrdiff_t>(n), std::greater<>());
    last = *kth;
    ties = static_cast<std::size_t>(std::count(copy.begin(), kth + 1, last));
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool equal = keep > 0 && counts(i) && x.number(i) == last;
    const bool kept = keep > 0 && counts(i) && (x.number(i) > last || (equal && ties > 0));
    if (equal && kept) --ties;
    put(out, i, kept ? 1 : 0);
  }
  return keep;
}
}  // namespace detail
/// @endcond

/// mask_i = 1 for the max(1, floor(share n)) largest of n @p values, else 0; returns how many are 1, which
/// quantile_mask() lets depend on ties. Of equal ones those with the lowest positions. @p values and @p mask are any
/// vectors of numbers, of one length. O(n), and allocates nothing once @p ws has grown.
/// @throws value_error where @p share is not in [0, 1] or a value is NaN, shape_error where lengths differ.
template <detail::sized_memory Values, detail::sized_memory Mask>
std::size_t top_share_mask(const Values& values, double share, Mask&& mask, workspace& ws) {
  return detail::top_share_mask(detail::view_vector(values), share, {}, mask, ws);
}
/// The same among the places where @p used is not 0, of which there are n (none: nothing is kept); the others get 0,
/// and their numbers may be anything.
template <detail::sized_memory Values, detail::sized_memory Used, detail::sized_memory Mask>
std::size_t top_share_mask(const Values& values, double share, const Used& used, Mask&& mask, workspace& ws) {
  return detail::top_share_mask(detail::view_vector(values), share, detail::view_vector(used), mask, ws);
}

LIMBECK_END_NAMESPACE

#endif
