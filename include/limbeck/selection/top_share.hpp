#ifndef LIMBECK_SELECTION_TOP_SHARE_HPP
#define LIMBECK_SELECTION_TOP_SHARE_HPP

/// @file
/// The rows with the largest numbers, a share of them by count.

#include <limbeck/selection/quantile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
/// How many of @p n a share is: at least one, where there are any.
inline std::size_t count_of_share(double share, std::size_t n) {
  return n == 0 ? 0 : (std::max)(static_cast<std::size_t>(share * static_cast<double>(n)), std::size_t{1});
}
/// 1 for what is larger than the last that is kept, and for the first of those equal to it.
template <class Mask>
void put_largest(const any_vector& x, const any_vector& used, std::size_t keep, largest_cut cut, const Mask& out) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool counts = keep > 0 && (used.empty() || used.number(i) != 0);
    const bool equal = counts && x.number(i) == cut.last;
    const bool kept = counts && (x.number(i) > cut.last || (equal && cut.ties > 0));
    if (equal && kept) --cut.ties;
    put(out, i, kept ? 1 : 0);
  }
}
template <class Mask>
std::size_t top_share_mask(const any_vector& x, double share, const any_vector& used, Mask& mask, workspace& ws) {
  check_fraction("share", share);
  if (!used.empty() && used.size() != x.size()) throw_length("used", used.size(), x.size());
  const auto out = output_vector("mask", mask, x.size());
  scratch memory(ws);
  const std::span<double> copy = memory.take<double>(x.size());
  std::size_t n = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!used.empty() && used.number(i) == 0) continue;
    copy[n++] = x.number(i);
    if (copy[n - 1] != copy[n - 1])
      raise<value_error>("limbeck: the value at position " + std::to_string(i) + " is nan");
  }
  const std::size_t keep = count_of_share(share, n);
  largest_cut cut{};
  if (keep > 0) {
    const auto kth = copy.begin() + static_cast<std::ptrdiff_t>(keep - 1);
    std::nth_element(copy.begin(), kth, copy.begin() + static_cast<std::ptrdiff_t>(n), std::greater<>());
    cut = {*kth, static_cast<std::uint64_t>(std::count(copy.begin(), kth + 1, *kth))};
  }
  put_largest(x, used, keep, cut, out);
  return keep;
}
template <class C, class Mask>
std::size_t top_share_mask_over_ranks(const C& comm, const any_vector& x, double share, const any_vector& used, Mask& mask) {
  std::vector<std::uint64_t> keys = agree(comm, [&] {
    check_fraction("share", share);
    (void)output_vector("mask", mask, x.size());
    return ordered_bits_of(x, used);
  });
  require_alike(comm, share, "share");
  const std::uint64_t total = all_reduce_sum(comm, std::uint64_t{keys.size()});
  const std::size_t keep = count_of_share(share, static_cast<std::size_t>(total));
  put_largest(x, used, keep, keep > 0 ? cut_of_largest(comm, std::span(keys), total, keep) : largest_cut{},
              output_vector("mask", mask, x.size()));
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

/// The same of the values of all ranks, each with a mask of its own; returns how many are 1 on all ranks together. Of equal ones those
/// of the lowest ranks, and there those with the lowest positions. As many messages as quantile() over ranks.
/// @throws (on all ranks) the same, also where the share is not the same on all.
template <communicator C, detail::sized_memory Values, detail::sized_memory Mask>
std::size_t top_share_mask(const C& comm, const Values& values, double share, Mask&& mask) {
  return detail::top_share_mask_over_ranks(comm, detail::view_vector(values), share, {}, mask);
}
/// The same.
template <communicator C, detail::sized_memory Values, detail::sized_memory Used, detail::sized_memory Mask>
std::size_t top_share_mask(const C& comm, const Values& values, double share, const Used& used, Mask&& mask) {
  return detail::top_share_mask_over_ranks(comm, detail::view_vector(values), share, detail::view_vector(used), mask);
}

LIMBECK_END_NAMESPACE

#endif
