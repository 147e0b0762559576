#ifndef LIMBECK_SELECTION_STRATA_HPP
#define LIMBECK_SELECTION_STRATA_HPP

/// @file
/// Budgets divided among strata: classes, bands of difficulty.

#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <span>
#include <utility>
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

/// The places of each label, ascending.
using rows_of_labels = std::map<std::int64_t, std::vector<std::size_t>>;
inline rows_of_labels rows_of_each(const any_vector& labels) {
  rows_of_labels classes;
  for (std::size_t i = 0; i < labels.size(); ++i) classes[labels.integer(i)].push_back(i);
  return classes;
}
/// The same as a list, in order of the labels.
inline std::vector<std::vector<std::size_t>> rows_by_label(rows_of_labels classes) {
  std::vector<std::vector<std::size_t>> result;
  for (auto& [label, rows_of_it] : classes) result.push_back(std::move(rows_of_it));
  return result;
}
inline std::vector<std::vector<std::size_t>> rows_by_label(const any_vector& labels) { return rows_by_label(rows_of_each(labels)); }

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
