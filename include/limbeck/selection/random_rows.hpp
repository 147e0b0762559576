#ifndef LIMBECK_SELECTION_RANDOM_ROWS_HPP
#define LIMBECK_SELECTION_RANDOM_ROWS_HPP

/// @file
/// Random choice: the baseline that every selector has to beat.

#include <limbeck/core/random.hpp>
#include <limbeck/selection/query.hpp>
#include <limbeck/selection/shared_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <unordered_map>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
/// Moves @p count of @p x, uniform without replacement, to its front (the first steps of Fisher and Yates).
template <class Range>
void draw_to_front(Range& x, std::size_t count, random_stream& random) {
  for (std::size_t i = 0; i < count; ++i) std::swap(x[i], x[i + random.below(x.size() - i)]);
}
/// 0, 1, ..., size - 1, of which only those are in memory that have been asked for.
class sparse_places {
 public:
  explicit sparse_places(std::size_t size) : size_(size) {}
  std::size_t size() const { return size_; }
  std::size_t& operator[](std::size_t i) { return moved_.try_emplace(i, i).first->second; }

 private:
  std::size_t size_;
  std::unordered_map<std::size_t, std::size_t> moved_;
};
/// What draw_to_front() moves to the front of @p size places, in O(count) memory.
inline std::vector<std::size_t> drawn_places(std::size_t size, std::size_t count, random_stream& random) {
  std::vector<std::size_t> places(count);
  if (count < size / 8) {
    sparse_places all(size);
    draw_to_front(all, count, random);
    for (std::size_t i = 0; i < count; ++i) places[i] = all[i];
  } else {
    std::vector<std::size_t> all(size);
    std::iota(all.begin(), all.end(), std::size_t{0});
    draw_to_front(all, count, random);
    std::copy_n(all.begin(), count, places.begin());
  }
  return places;
}
}  // namespace detail

/// Rows that are not labelled, uniform without replacement, from the query's seed and nothing else. O(pool), for it looks at which rows
/// are labelled.
struct random_rows {
  /// @throws value_error, shape_error as the query is wrong.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    const std::size_t size = detail::size_of_pool(pool);
    (void)check_query(q, size);
    return choose(q, size);
  }
  /// The same rows of a pool in shards: see over_ranks(). Every rank draws the same.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    return choose(q, check_query(comm, as_reader(own), q).of.total());
  }

 private:
  static std::vector<std::size_t> choose(const query& q, std::size_t size) {
    random_stream random(q.seed);
    std::vector<std::size_t> rows = detail::drawn_places(size - q.labelled.size(), q.budget, random);
    std::vector<std::size_t> before(q.labelled.begin(), q.labelled.end());  // of each labelled row: how many that are not
    std::sort(before.begin(), before.end());
    for (std::size_t i = 0; i < before.size(); ++i) before[i] -= i;
    for (std::size_t& r : rows) r += static_cast<std::size_t>(std::upper_bound(before.begin(), before.end(), r) - before.begin());
    return rows;
  }
};

LIMBECK_END_NAMESPACE

#endif
