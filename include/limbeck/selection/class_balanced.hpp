#ifndef LIMBECK_SELECTION_CLASS_BALANCED_HPP
#define LIMBECK_SELECTION_CLASS_BALANCED_HPP

/// @file
/// The same number of rows of every class, whoever chooses them.

#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/shared_strata.hpp>
#include <limbeck/selection/strata.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
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
    return over(one_rank{}, pool, q);
  }
  /// The same rows of a pool in shards, where @p selector can be asked over ranks: see over_ranks(). Labels are of this rank's rows, and a
  /// class need not be on every rank. What travels besides the selector's: 8 bytes a class of each rank, 16 a labelled row, 8 a
  /// row that is chosen.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    const auto& reader = as_reader(own);
    const shared_pool share = check_query(comm, reader, q);
    const detail::shared_strata classes(
        comm, share.of, detail::rows_by_label(detail::with_labels_of_ranks(comm, agree(comm, [&] { return classes_of(reader, q); }))));
    const auto labelled = classes.places_of(comm, q.labelled);
    std::vector<std::size_t> free_rows;
    for (std::size_t k = 0; k < labelled.size(); ++k) free_rows.push_back(classes.sizes()[k] - labelled[k].size());
    const std::vector<std::size_t> of_class = detail::allocate(q.budget, free_rows);
    std::vector<std::vector<std::size_t>> chosen(labelled.size());
    for (std::size_t k = 0; k < chosen.size(); ++k)
      if (of_class[k] != 0)
        chosen[k] =
            detail::select_within(comm, selector, reader, q, classes, k, labelled[k], of_class[k], detail::seed_of_part(q.seed, k));
    classes.to_rows(comm, chosen);
    return detail::interleave(chosen);
  }

 private:
  /// Of this rank's rows. @throws value_error
  template <class Reader>
  static detail::rows_of_labels classes_of(const Reader& own, const query& q) {
    if (own.size() == 0) return {};
    if constexpr (Predicted) {
      const auto predicted = detail::predictions(own);
      return detail::rows_of_each(detail::view_vector(predicted));
    } else {
      if (q.labels.empty())
        raise<value_error>(
            "limbeck: class_balanced needs the labels of the query; of an unlabelled pool of logits, take "
            "balanced_by_prediction");
      return detail::rows_of_each(q.labels);
    }
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
