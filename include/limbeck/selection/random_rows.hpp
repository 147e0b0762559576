#ifndef LIMBECK_SELECTION_RANDOM_ROWS_HPP
#define LIMBECK_SELECTION_RANDOM_ROWS_HPP

/// @file
/// Random choice: the baseline that every selector has to beat.

#include <limbeck/core/random.hpp>
#include <limbeck/selection/query.hpp>

#include <cstddef>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
/// Moves @p count of @p x, uniform without replacement, to its front (the first steps of Fisher and Yates).
template <class Range>
void draw_to_front(Range& x, std::size_t count, random_stream& random) {
  for (std::size_t i = 0; i < count; ++i) std::swap(x[i], x[i + random.below(x.size() - i)]);
}
}  // namespace detail

/// Rows that are not labelled, uniform without replacement, from the query's seed and nothing else. O(pool).
struct random_rows {
  /// @throws value_error, shape_error as the query is wrong.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    const auto labelled = check_query(q, detail::size_of_pool(pool));
    std::vector<std::size_t> rows;
    rows.reserve(labelled.size() - q.labelled.size());
    for (std::size_t r = 0; r < labelled.size(); ++r)
      if (!labelled[r]) rows.push_back(r);
    random_stream random(q.seed);
    detail::draw_to_front(rows, q.budget, random);
    rows.resize(q.budget);
    return rows;
  }
};

LIMBECK_END_NAMESPACE

#endif
