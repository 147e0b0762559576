#ifndef LIMBECK_SELECTION_CLASS_BALANCED_HPP
#define LIMBECK_SELECTION_CLASS_BALANCED_HPP

/// @file
/// The same number of rows of every class, whoever chooses them.

#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/strata.hpp>
#include <limbeck/selection/subpool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The column of the largest number of every row.
template <class Reader>
std::vector<std::int64_t> predictions(const Reader& p) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(p.size()));
  for_each_row(p, [&](std::size_t r, auto x) { result[r] = static_cast<std::int64_t>(largest_of(x, r)); });
  return result;
}

}  // namespace detail

/// See class_balanced() and balanced_by_prediction().
template <class Selector, bool Predicted>
struct class_balanced_selector {
  Selector selector;  ///< who chooses inside a class

  /// @throws value_error, shape_error as the query is wrong, value_error where labels are needed and not given.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    const auto& reader = as_reader(pool);
    const auto labelled = check_query(q, static_cast<std::size_t>(reader.size()));
    std::vector<std::vector<std::size_t>> classes;
    if constexpr (Predicted) {
      const auto predicted = detail::predictions(reader);
      classes = detail::rows_by_label(detail::view_vector(predicted));
    } else {
      if (q.labels.empty())
        raise<value_error>(
            "limbeck: class_balanced needs the labels of the query; of an unlabelled pool of logits, take "
            "balanced_by_prediction");
      classes = detail::rows_by_label(q.labels);
    }
    std::vector<std::size_t> free_rows;
    for (const auto& rows_of_it : classes)
      free_rows.push_back(static_cast<std::size_t>(
          std::count_if(rows_of_it.begin(), rows_of_it.end(), [&](std::size_t r) { return labelled[r] == 0; })));
    const std::vector<std::size_t> share = detail::allocate(q.budget, free_rows);
    std::vector<std::vector<std::size_t>> chosen(classes.size());
    for (std::size_t k = 0; k < classes.size(); ++k)
      if (share[k] != 0)
        chosen[k] = detail::select_within(selector, reader, q, classes[k], share[k], detail::seed_of_part(q.seed, k));
    return detail::interleave(chosen);
  }
};

/// Equal shares of the budget for every class of `query.labels` (any integers: strata too), chosen by @p selector
/// inside each class, where the class's labelled rows are its seeds. A class that has fewer rows than its share gives
/// all of them and the others make up for it; what cannot be divided comes from the largest classes, the higher label
/// among equals. The result takes the classes in turn. Rows labelled already count against no class's share.
template <class Selector>
constexpr class_balanced_selector<Selector, false> class_balanced(const Selector& selector) {
  return {selector};
}
/// The same over the predicted classes, the largest number of each row of the pool: a pool of logits or probabilities.
template <class Selector>
constexpr class_balanced_selector<Selector, true> balanced_by_prediction(const Selector& selector) {
  return {selector};
}

LIMBECK_END_NAMESPACE

#endif
