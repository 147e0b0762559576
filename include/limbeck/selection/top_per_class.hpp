#ifndef LIMBECK_SELECTION_TOP_PER_CLASS_HPP
#define LIMBECK_SELECTION_TOP_PER_CLASS_HPP

/// @file
/// A class-balanced set of pseudo-labels out of a pool.

#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/ranking.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A row of a pool with a class that a model gave it.
struct labelled_row {
  std::size_t row;    ///< of the pool
  std::size_t label;  ///< the class
  double score;       ///< its probability, softmax(x)[label]
};

/// Top K per class: for each class c, the rows with the highest p(c) among those that have c in their `among` likeliest
/// classes. Balanced, since every class has as many; a row may come under several classes, and with `among` = 1 under
/// none but its prediction. Ties go to the lowest class inside a row and to the lowest row inside a class.
///
/// Yalniz, Jégou, Chen, Paluri and Mahajan, Billion-scale Semi-supervised Learning for Image Classification, 2019,
/// arXiv:1905.00546 (procedure read in a review; its P of 10 recalled; K is 64,000 in the released models).
struct top_per_class {
  std::size_t per_class;   ///< K, at least 1
  std::size_t among = 10;  ///< P, at least 1; more than there are classes means all

  /// Class by class, the most probable first; a class with fewer candidates gives what it has. @p pool is one of
  /// logits. O(K C) memory besides a block; one pass. @throws value_error where K or P is 0 or a logit is NaN,
  /// shape_error where the pool is empty.
  template <class Pool>
  std::vector<labelled_row> operator()(const Pool& pool) const {
    const auto& reader = as_reader(pool);
    const auto columns = static_cast<std::size_t>(reader.columns());
    if (reader.size() == 0) raise<shape_error>("limbeck: the pool is empty");
    if (per_class == 0) raise<value_error>("limbeck: per_class is 0, expected at least 1");
    if (among == 0) raise<value_error>("limbeck: among is 0, expected at least 1");
    const std::size_t p_classes = (std::min)(among, columns);
    std::vector<detail::best_rows> best(columns, detail::best_rows(per_class));
    std::vector<double> p(columns);
    std::vector<detail::ranked_row> order(columns);
    for_each_row(reader, [&](std::size_t r, auto x) {
      detail::softmax_into(x, p, r);
      for (std::size_t c = 0; c < columns; ++c) order[c] = {static_cast<double>(x[c]), c};
      const auto middle = order.begin() + static_cast<std::ptrdiff_t>(p_classes);
      if (p_classes < columns) std::nth_element(order.begin(), middle, order.end(), detail::ranks_before);
      for (auto c = order.begin(); c != middle; ++c) best[c->row].offer(p[c->row], r);
    });
    std::vector<labelled_row> result;
    for (std::size_t c = 0; c < columns; ++c)
      for (const detail::ranked_row& r : best[c].sorted()) result.push_back({r.row, c, r.score});
    return result;
  }
};

LIMBECK_END_NAMESPACE

#endif
