#ifndef LIMBECK_IO_TEACHER_CACHE_INDEX_HPP
#define LIMBECK_IO_TEACHER_CACHE_INDEX_HPP

/// @file
/// Which row of a teacher cache a sample has.

#include <limbeck/io/teacher_cache_shards.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// From sample ids to rows of the shards: 16 bytes a row, or none where the ids run from the first to the last without
/// a gap. Blocks whose ids are damaged are left out.
class cache_index {
 public:
  static constexpr std::uint64_t nowhere = ~std::uint64_t{0};

  /// @throws file_error that names both, where two shards have a row of one sample.
  explicit cache_index(const std::vector<cache_shard>& shards) {
    entries_.reserve(static_cast<std::size_t>(shards.back().first + shards.back().contents.rows()));
    for (const cache_shard& shard : shards)
      damaged_blocks_ += for_each_id(shard, [&](std::uint64_t id, std::uint64_t row) { entries_.push_back({id, row}); });
    first_ = entries_.empty() ? 0 : entries_[0].id;
    size_ = entries_.size();
    consecutive_ = damaged_blocks_ == 0 && std::all_of(entries_.begin(), entries_.end(),
                                                       [&](const entry& e) { return e.id - first_ == e.row; });
    if (consecutive_) {
      entries_ = {};
      return;
    }
    std::sort(entries_.begin(), entries_.end(), [](const entry& a, const entry& b) {
      return a.id != b.id ? a.id < b.id : a.row > b.row;  // of an id that comes twice the last row stands first
    });
    for (std::size_t i = 1; shards.size() > 1 && i < entries_.size(); ++i) {
      if (entries_[i].id != entries_[i - 1].id) continue;
      const cache_shard &one = shard_of(shards, entries_[i].row), &other = shard_of(shards, entries_[i - 1].row);
      if (&one != &other)
        throw_file_error(other.file.path(), "has a row of sample " + std::to_string(entries_[i].id) + ", and so has '" +
                                                one.file.path().string() + "': a sample has one shard");
    }
    entries_.erase(
        std::unique(entries_.begin(), entries_.end(), [](const entry& a, const entry& b) { return a.id == b.id; }),
        entries_.end());
    size_ = entries_.size();
  }

  /// Samples that have a row.
  std::size_t size() const { return size_; }
  /// The id of the i-th of them, rising.
  std::uint64_t id(std::size_t i) const { return consecutive_ ? first_ + i : entries_[i].id; }
  /// The row of a sample, or nowhere. O(log size).
  std::uint64_t find(std::uint64_t id) const {
    if (consecutive_) return id - first_ < size_ ? id - first_ : nowhere;
    const auto found = std::lower_bound(entries_.begin(), entries_.end(), id,
                                        [](const entry& e, std::uint64_t i) { return e.id < i; });
    return found != entries_.end() && found->id == id ? found->row : nowhere;
  }
  std::size_t damaged_blocks() const { return damaged_blocks_; }

 private:
  struct entry {
    std::uint64_t id, row;
  };
  bool consecutive_ = false;
  std::uint64_t first_ = 0;
  std::size_t size_ = 0, damaged_blocks_ = 0;
  std::vector<entry> entries_;
};

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
