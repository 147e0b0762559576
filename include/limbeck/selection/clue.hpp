#ifndef LIMBECK_SELECTION_CLUE_HPP
#define LIMBECK_SELECTION_CLUE_HPP

/// @file
/// CLUE: rows nearest to the centroids of embeddings that uncertainty weighs.

#include <limbeck/core/lifetime.hpp>
#include <limbeck/selection/k_means.hpp>
#include <limbeck/selection/subpool.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// Settings of clue.
struct clue_settings {
  double temperature = 1;   ///< T of the probabilities whose entropy is the weight, positive
  std::size_t steps = 100;  ///< of k-means, at most
};

/// k-means of the embeddings h of the rows that are not labelled, with as many centroids as the budget and the entropy
/// of softmax(logits / T) as the weight of each row; then the row nearest to each centroid. Where several centroids
/// have the same nearest row the first has it, and the others take the nearest row that is left.
///
/// A high T makes the weights equal: k-means alone, diversity; a low one leaves only what is uncertain. Labelled rows
/// are not chosen and have no other part. Prabhu, Chandrasekaran, Saenko and Hoffman, Active Domain Adaptation via
/// Clustering Uncertainty-weighted Embeddings, 2021, arXiv:2010.08666, after the authors' code; there k-means is the
/// best of ten starts, here one of k_means, and what two centroids share is resolved in another order.
///
/// The pool is one of logits; the pool of embeddings, row by row beside it, is held by the selector: `clue(h)(logits,
/// q)`. Reads the logits once, the embeddings as k_means and once or a few times more. Holds 41 bytes a row, and the
/// centroids. O(pool x budget x width) a step.
/// @tparam Embeddings the pool of h, whose memory outlives the selector
template <pool Embeddings>
class clue {
 public:
  /// Of the embeddings @p h, one row for each row of the pools that it will be asked about.
  /// @throws value_error where the temperature is not positive.
  template <class E>
    requires std::same_as<std::remove_cvref_t<E>, Embeddings>
  explicit clue(E&& h, clue_settings settings = {}) : embeddings_(as_reader(h)), settings_(settings) {
    detail::require_kept<E>();
    if (!(settings.temperature > 0 && std::isfinite(settings.temperature)))
      raise<value_error>("limbeck: temperature is " + detail::show(settings.temperature) +
                         ", expected a positive number");
  }

  /// The rows chosen, budget many. @p logits is the whole pool, or a part of it that another selector made.
  /// @throws shape_error, value_error: see query; embeddings of another number of rows; a logit that is NaN or +inf, a
  /// row of nothing but -inf; an embedding that is not finite.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& logits, const query& q) const {
    const auto& reader = as_reader(logits);
    using Reader = std::remove_cvref_t<decltype(reader)>;
    const auto n = static_cast<std::size_t>(reader.size());
    const std::vector<unsigned char> labelled = check_query(q, n);
    std::vector<double> weights, p(static_cast<std::size_t>(reader.columns())), x(p.size());
    std::vector<std::size_t> open;
    for_each_row(reader, [&](std::size_t r, auto row) {
      double top = -(std::numeric_limits<double>::infinity)();
      for (std::size_t c = 0; c < x.size(); ++c) top = (std::max)(top, static_cast<double>(row[c]));
      if (!std::isfinite(top)) top = 0;  // which is reported as it was given
      for (std::size_t c = 0; c < x.size(); ++c) x[c] = (static_cast<double>(row[c]) - top) / settings_.temperature;
      detail::softmax_into(std::span<const double>(x), p, r);
      if (labelled[r]) return;
      open.push_back(r);
      weights.push_back(detail::entropy_of(p));
    });

    const detail::subpool<Reader> part{reader, open};
    const detail::rows_beside beside(part, embeddings_, "the pool of embeddings");
    const auto h = beside.rows();
    using T = typename std::remove_cvref_t<decltype(h)>::scalar;
    const euclidean_distance metric;
    const auto found =
        k_means<>{.clusters = q.budget, .steps = settings_.steps, .weights = detail::view_vector(weights)}(h, q.seed);

    detail::embedded_rows<std::remove_cvref_t<decltype(h)>, euclidean_distance> row(h, metric);
    const std::size_t width = row.width();
    std::vector<std::size_t> of(q.budget, open.size());  // each centroid's row
    std::vector<unsigned char> taken(open.size(), 0);
    for (std::size_t left = q.budget; left > 0;) {
      std::vector<std::size_t> best(q.budget, open.size());
      std::vector<double> least(q.budget, (std::numeric_limits<double>::infinity)());
      row.template each<false>([&](std::size_t r, const T* e) {
        for (std::size_t k = 0; k < q.budget && !taken[r]; ++k) {
          if (of[k] < open.size()) continue;
          const double d = detail::square_between(e, found.centroids.data() + k * width, width);
          if (d < least[k]) least[k] = d, best[k] = r;
        }
      });
      for (std::size_t k = 0; k < q.budget; ++k)
        if (of[k] == open.size() && !taken[best[k]]) of[k] = best[k], taken[best[k]] = 1, --left;
    }
    for (std::size_t& r : of) r = open[r];
    return of;
  }

 private:
  decltype(as_reader(std::declval<const Embeddings&>())) embeddings_;  // a view of memory, or a reference to the reader
  clue_settings settings_;
};

/// @cond
template <class E>
  requires pool<std::remove_cvref_t<E>> clue(E&&, clue_settings = {})
->clue<std::remove_cvref_t<E>>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
