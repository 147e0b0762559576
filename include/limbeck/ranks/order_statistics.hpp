#ifndef LIMBECK_RANKS_ORDER_STATISTICS_HPP
#define LIMBECK_RANKS_ORDER_STATISTICS_HPP

/// @file
/// The number that stands at a place of the order of all ranks' numbers, found where they lie.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/quantile.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// What is alike on all ranks: @p value, called @p what. All bring it, all see the fault.
/// @throws value_error
template <class C>
void require_alike(const C& comm, double x, const char* what) {
  const std::vector<double> all = all_gather(comm, x);
  for (std::size_t k = 1; k < all.size(); ++k)
    if (all[k] != all[0])
      raise<value_error>(std::string("limbeck: ") + what + " is " + show(all[0]) + " on rank 0 and " + show(all[k]) + " on rank " +
                         std::to_string(k) + ", expected the same on all");
}

/// The numbers of @p x whose @p used is not 0, in the order of their size; equal zeros. @throws value_error, shape_error
inline std::vector<std::uint64_t> ordered_bits_of(const any_vector& x, const any_vector& used = {}) {
  if (!used.empty() && used.size() != x.size()) throw_length("used", used.size(), x.size());
  std::vector<std::uint64_t> keys;
  keys.reserve(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!used.empty() && used.number(i) == 0) continue;
    const double v = x.number(i);
    if (v != v) raise<value_error>("limbeck: the value at position " + std::to_string(i) + " is nan");
    keys.push_back(ordered_bits(v + 0.0));
  }
  return keys;
}

/// Where a number stands among those of all ranks.
struct order_statistic {
  double number, next;        ///< itself and the one behind it; itself again where there is none
  std::uint64_t below, equal;  ///< how many are smaller; how many are as large, it among them
  std::uint64_t equal_before;  ///< of these, on the ranks before this one
  std::uint64_t equal_here;    ///< and on this one
};

/// The number that @p place others of all ranks precede, from each rank's own @p keys (ordered_bits(), in any order), which are
/// overwritten: asked again, it needs them again. Eight times the keys that are left are counted by their next eight bits: 9 messages of
/// at most 2 KiB to each rank, however many numbers there are. O(keys). @p place is less than the number of keys of all ranks.
template <class C>
order_statistic number_at(const C& comm, std::span<std::uint64_t> keys, std::uint64_t place) {
  constexpr std::uint64_t none_above = ~std::uint64_t{0};  // ordered bits of no number
  workspace ws;
  std::uint64_t found = 0, below = 0, equal = 0, above = none_above;
  for (int shift = 56; shift >= 0; shift -= 8) {
    std::uint64_t counts[256] = {};
    const auto digit = [shift](std::uint64_t key) { return (key >> shift) & 255; };
    for (const std::uint64_t key : keys) ++counts[digit(key)];
    all_reduce_sum(comm, std::span<std::uint64_t>(counts), ws);
    std::uint64_t d = 0;
    while (below + counts[d] <= place) below += counts[d++];
    found |= d << shift;
    equal = counts[d];
    std::size_t kept = 0;
    for (const std::uint64_t key : keys) {
      if (digit(key) == d) keys[kept++] = key;
      if (digit(key) > d) above = (std::min)(above, key);
    }
    keys = keys.first(kept);
  }
  struct last {
    std::uint64_t above, equal;
  };
  const std::vector<last> all = all_gather(comm, last{above, keys.size()});
  std::uint64_t before = 0;
  for (std::size_t k = 0; k < all.size(); ++k) {
    above = (std::min)(above, all[k].above);
    if (k < static_cast<std::size_t>(comm.rank())) before += all[k].equal;
  }
  const std::uint64_t behind = place + 1 < below + equal || above == none_above ? found : above;
  return {number_of_ordered(found), number_of_ordered(behind), below, equal, before, keys.size()};
}

/// Which of the ranks' numbers are the @p keep largest of @p total: those larger than `last`, and on this rank the first `ties` that
/// are equal to it. Of equal ones those with the lowest positions, rank by rank. 0 < keep <= total. Overwrites @p keys.
struct largest_cut {
  double last;
  std::uint64_t ties;
};
template <class C>
largest_cut cut_of_largest(const C& comm, std::span<std::uint64_t> keys, std::uint64_t total, std::uint64_t keep) {
  const order_statistic at = number_at(comm, keys, total - keep);
  const std::uint64_t ties = keep - (total - at.below - at.equal);
  return {at.number, (std::min)(at.equal_here, ties - (std::min)(ties, at.equal_before))};
}

/// The quantile @p q of what all ranks have in @p x. @throws value_error, shape_error on all ranks.
template <class C>
double quantile(const C& comm, const any_vector& x, double q, const any_vector& used) {
  std::vector<std::uint64_t> keys = agree(comm, [&] {
    if (!(q >= 0 && q <= 1)) raise<value_error>("limbeck: q is " + show(q) + ", expected a fraction in [0, 1]");
    return ordered_bits_of(x, used);
  });
  require_alike(comm, q, "q");
  const auto total = all_reduce_sum(comm, std::uint64_t{keys.size()});
  if (total == 0) raise<shape_error>("limbeck: a quantile of no values");
  return quantile_of<double>(static_cast<std::size_t>(total), q, [&](std::size_t rank) {
    const order_statistic at = number_at(comm, std::span(keys), rank);
    return std::pair<double, double>(at.number, at.next);
  });
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
