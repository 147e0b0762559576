#ifndef LIMBECK_SELECTION_SHARED_STRATA_HPP
#define LIMBECK_SELECTION_SHARED_STRATA_HPP

/// @file
/// Parts of a pool whose rows lie on all ranks: classes, bands of difficulty; and selectors asked inside of one.

#include <limbeck/selection/shared_pool.hpp>
#include <limbeck/selection/strata.hpp>
#include <limbeck/selection/subpool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// @p own with every label that a row of any rank has, though this rank has none of it. 8 bytes a label of each rank to each.
template <class C>
rows_of_labels with_labels_of_ranks(const C& comm, rows_of_labels own) {
  std::vector<std::int64_t> labels;
  for (const auto& [label, rows_of_it] : own) labels.push_back(label);
  for (const std::int64_t label : all_gather_ragged(comm, std::span<const std::int64_t>(labels)).values) own.try_emplace(label);
  return own;
}

/// Rows of a shared pool in parts. A row of a part has a place there: its number among the part's rows, in the order of the pool.
class shared_strata {
 public:
  /// @p own: this rank's rows of each part, ascending and counted from its first; as many parts on each rank. One message of 8 bytes
  /// a part to each.
  template <class C>
  shared_strata(const C& comm, const shards& of, std::vector<std::vector<std::size_t>> own)
      : of_(of), own_(std::move(own)), first_(own_.size(), 0), sizes_(own_.size(), 0) {
    std::vector<std::uint64_t> counts;
    for (const auto& rows_of_it : own_) counts.push_back(rows_of_it.size());
    const auto all = all_gather(comm, std::span<const std::uint64_t>(counts));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::size_t part = i % own_.size(), of_rank = static_cast<std::size_t>(all[i]);
      if (i / own_.size() < static_cast<std::size_t>(comm.rank())) first_[part] += of_rank;
      sizes_[part] += of_rank;
    }
  }
  /// How many rows each part has, on all ranks together.
  std::span<const std::size_t> sizes() const { return sizes_; }
  /// This rank's rows of part @p k, counted from its first.
  std::span<const std::size_t> own(std::size_t k) const { return own_[k]; }

  /// Of rows of the whole their parts and places there, @p known of all; a row of no part is passed over. One message of 16 bytes a row.
  template <class C>
  std::vector<std::vector<std::size_t>> places_of(const C& comm, std::span<const std::size_t> rows_of_pool) const {
    std::vector<std::uint64_t> found(2 * rows_of_pool.size(), 0);  // part + 1, place
    for (std::size_t i = 0; i < rows_of_pool.size(); ++i) {
      if (!of_.owns(rows_of_pool[i])) continue;
      const std::size_t r = of_.local(rows_of_pool[i]);
      for (std::size_t k = 0; k < own_.size(); ++k) {
        const auto at = std::lower_bound(own_[k].begin(), own_[k].end(), r);
        if (at != own_[k].end() && *at == r)
          found[2 * i] = k + 1, found[2 * i + 1] = first_[k] + static_cast<std::size_t>(at - own_[k].begin());
      }
    }
    all_reduce_sum(comm, std::span<std::uint64_t>(found));
    std::vector<std::vector<std::size_t>> places(own_.size());
    for (std::size_t i = 0; i < rows_of_pool.size(); ++i)
      if (found[2 * i] != 0) places[static_cast<std::size_t>(found[2 * i]) - 1].push_back(static_cast<std::size_t>(found[2 * i + 1]));
    return places;
  }
  /// Places in each part become rows of the whole. One message of 8 bytes a place.
  template <class C>
  void to_rows(const C& comm, std::vector<std::vector<std::size_t>>& places) const {
    std::vector<std::uint64_t> found;
    for (std::size_t k = 0; k < places.size(); ++k)
      for (const std::size_t p : places[k])
        found.push_back(p >= first_[k] && p - first_[k] < own_[k].size() ? of_.first() + own_[k][p - first_[k]] : 0);
    all_reduce_sum(comm, std::span<std::uint64_t>(found));
    auto next = found.begin();
    for (auto& of_part : places)
      for (std::size_t& p : of_part) p = static_cast<std::size_t>(*next++);
  }

 private:
  shards of_;
  std::vector<std::vector<std::size_t>> own_;
  std::vector<std::size_t> first_, sizes_;  // of each part: what lower ranks have, what all have
};

/// What @p selector chooses in part @p k of @p strata, as places there. @p labelled: its labelled places, which are its seeds.
template <class C, class Selector, class Reader>
std::vector<std::size_t> select_within(const C& comm, const Selector& selector, const Reader& own, const query& q,
                                       const shared_strata& strata, std::size_t k, std::span<const std::size_t> labelled,
                                       std::size_t budget, std::uint64_t seed) {
  return ask_part(comm, selector, own, q, strata.own(k), labelled, budget, seed);
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
