#ifndef LIMBECK_SELECTION_STRATA_HPP
#define LIMBECK_SELECTION_STRATA_HPP

/// @file
/// Budgets divided among strata: classes, bands of difficulty.

#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// How many of @p budget each stratum gives: equal shares; one that has less gives all it has, and the others make up
/// for it. From the smallest stratum (the lowest place among equals) to the largest, each gives
/// min(size, rest / strata left), so that what cannot be divided comes from the largest. The budget is at most the sum
/// of @p sizes.
inline std::vector<std::size_t> allocate(std::size_t budget, std::span<const std::size_t> sizes) {
  std::vector<std::size_t> order(sizes.size()), share(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return sizes[a] < sizes[b]; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    share[order[i]] = (std::min)(sizes[order[i]], budget / (order.size() - i));
    budget -= share[order[i]];
  }
  return share;
}

/// One of each part in turn, so that every beginning of the result is balanced too.
inline std::vector<std::size_t> interleave(const std::vector<std::vector<std::size_t>>& parts) {
  std::size_t longest = 0;
  for (const auto& part : parts) longest = (std::max)(longest, part.size());
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < longest; ++i)
    for (const auto& part : parts)
      if (i < part.size()) result.push_back(part[i]);
  return result;
}

/// The places of each of @p known, which ascend and are all there are; ascending too.
inline std::vector<std::vector<std::size_t>> rows_by_label(const any_vector& labels, std::span<const std::int64_t> known) {
  std::vector<std::vector<std::size_t>> result(known.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto at = std::lower_bound(known.begin(), known.end(), labels.integer(i));
    result[static_cast<std::size_t>(at - known.begin())].push_back(i);
  }
  return result;
}
/// The places of each label, ascending, in order of the labels.
inline std::vector<std::vector<std::size_t>> rows_by_label(const any_vector& labels) {
  std::vector<std::int64_t> known;
  for (std::size_t i = 0; i < labels.size(); ++i) known.push_back(labels.integer(i));
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  return rows_by_label(labels, known);
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
