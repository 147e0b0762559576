#ifndef LIMBECK_RANKS_SHARDS_HPP
#define LIMBECK_RANKS_SHARDS_HPP

/// @file
/// What of a whole is whose: rows of a pool, classes of a vocabulary, parameters.

#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A whole of `total()` things, cut into consecutive ranges, one a rank in the order of the ranks; some may be empty.
class shards {
 public:
  /// Of counts that are known: @p counts[k] are rank k's, and this is rank @p rank.
  shards(int rank, const std::vector<std::uint64_t>& counts) : rank_(rank), offsets_(counts.size() + 1, 0) {
    for (std::size_t k = 0; k < counts.size(); ++k) offsets_[k + 1] = offsets_[k] + static_cast<std::size_t>(counts[k]);
  }
  /// Of each rank's @p own count: every rank calls it with its own.
  template <communicator C>
  shards(const C& comm, std::size_t own) : shards(comm.rank(), all_gather(comm, std::uint64_t{own})) {}

  /// @p total, cut into parts of nearly equal length: what a rank reads of something that is there for all.
  template <communicator C>
  static shards even(const C& comm, std::size_t total) {
    const auto n = static_cast<std::size_t>(comm.size());
    std::vector<std::uint64_t> counts(n);
    for (std::size_t k = 0; k < n; ++k) counts[k] = total / n + (k < total % n ? 1 : 0);
    return {comm.rank(), counts};
  }

  /// Of all ranks together.
  std::size_t total() const { return offsets_.back(); }
  /// How many are this rank's.
  std::size_t count() const { return count_of(rank_); }
  /// The first that is this rank's, among all.
  std::size_t first() const { return first_of(rank_); }
  /// The same of rank @p k.
  std::size_t count_of(int k) const { return offsets_[static_cast<std::size_t>(k) + 1] - first_of(k); }
  /// The same of rank @p k.
  std::size_t first_of(int k) const { return offsets_[static_cast<std::size_t>(k)]; }
  /// Whether number @p i of all is this rank's.
  bool owns(std::size_t i) const { return i >= first() && i - first() < count(); }
  /// Whose number @p i of all is. O(log ranks).
  /// @throws value_error where there is none.
  int rank_of(std::size_t i) const {
    if (i >= total())
      raise<value_error>("limbeck: number " + std::to_string(i) + " is asked of shards of " + std::to_string(total()));
    return static_cast<int>(std::upper_bound(offsets_.begin(), offsets_.end(), i) - offsets_.begin()) - 1;
  }
  /// Number @p i of all, counted from this rank's first.
  std::size_t local(std::size_t i) const { return i - first(); }
  /// How many ranks there are.
  int ranks() const { return static_cast<int>(offsets_.size()) - 1; }

 private:
  int rank_;
  std::vector<std::size_t> offsets_;  // of each rank, and the total
};

/// What the ranks brought, each as much as it liked.
template <class T>
struct ragged {
  std::vector<T> values;  ///< one rank's after the other's
  shards of;              ///< whose they are
};
/// Gathers ranges of any lengths. Sends the longest one's length to each.
template <communicator C, detail::plain T>
ragged<T> all_gather_ragged(const C& comm, std::span<const T> mine) {
  shards of(comm, mine.size());
  std::size_t longest = 0;
  for (int k = 0; k < of.ranks(); ++k) longest = (std::max)(longest, of.count_of(k));
  std::vector<T> padded(mine.begin(), mine.end());
  padded.resize(longest);
  const std::vector<T> all = all_gather(comm, std::span<const T>(padded));
  std::vector<T> values(of.total());
  for (int k = 0; k < of.ranks(); ++k)
    std::copy_n(all.data() + static_cast<std::size_t>(k) * longest, of.count_of(k), values.data() + of.first_of(k));
  return {std::move(values), std::move(of)};
}

LIMBECK_END_NAMESPACE

#endif
