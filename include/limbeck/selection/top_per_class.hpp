#ifndef LIMBECK_SELECTION_TOP_PER_CLASS_HPP
#define LIMBECK_SELECTION_TOP_PER_CLASS_HPP

/// @file
/// A class-balanced set of pseudo-labels out of a pool.

#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/ranking.hpp>
#include <limbeck/selection/shared_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
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
    return (*this)(one_rank{}, pool);
  }
  /// The same rows of a pool in shards: @p own is this rank's rows, also none; rows are numbered over all ranks. Each rank sends its best,
  /// 24 bytes each and at most K C. @throws the same, on every rank.
  template <communicator C, class Pool>
  std::vector<labelled_row> operator()(const C& comm, const Pool& own) const {
    const auto& reader = as_reader(own);
    query any;
    any.budget = 1;
    const shared_pool share = check_query(comm, reader, any, detail::digest_of_numbers(per_class, among));
    const std::vector<labelled_row> mine = agree(comm, [&] { return best_of(reader, share); });
    if constexpr (std::is_same_v<C, one_rank>) return mine;
    std::vector<labelled_row> all = all_gather_ragged(comm, std::span<const labelled_row>(mine)).values;
    std::sort(all.begin(), all.end(), [](const labelled_row& a, const labelled_row& b) {
      return a.label != b.label ? a.label < b.label : detail::ranks_before({a.score, a.row}, {b.score, b.row});
    });
    std::size_t kept = 0, of_class = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      of_class = kept > 0 && all[kept - 1].label == all[i].label ? of_class + 1 : 1;
      if (of_class <= per_class) all[kept++] = all[i];
    }
    all.resize(kept);
    return all;
  }

 private:
  template <class Reader>
  std::vector<labelled_row> best_of(const Reader& reader, const shared_pool& share) const {
    if (per_class == 0) raise<value_error>("limbeck: per_class is 0, expected at least 1");
    if (among == 0) raise<value_error>("limbeck: among is 0, expected at least 1");
    if (reader.size() == 0) return {};
    const std::size_t columns = share.columns, p_classes = (std::min)(among, columns);
    std::vector<detail::best_rows> best(columns, detail::best_rows(per_class));
    std::vector<double> p(columns);
    std::vector<detail::ranked_row> order(columns);
    for_each_row(reader, [&](std::size_t r, auto x) {
      detail::softmax_into(x, p, r);
      for (std::size_t c = 0; c < columns; ++c) order[c] = {static_cast<double>(x[c]), c};
      const auto middle = order.begin() + static_cast<std::ptrdiff_t>(p_classes);
      if (p_classes < columns) std::nth_element(order.begin(), middle, order.end(), detail::ranks_before);
      for (auto c = order.begin(); c != middle; ++c) best[c->row].offer(p[c->row], share.of.first() + r);
    });
    std::vector<labelled_row> result;
    for (std::size_t c = 0; c < columns; ++c)
      for (const detail::ranked_row& r : best[c].sorted()) result.push_back({r.row, c, r.score});
    return result;
  }
};

LIMBECK_END_NAMESPACE

#endif
