#ifndef LIMBECK_SELECTION_TYPICLUST_HPP
#define LIMBECK_SELECTION_TYPICLUST_HPP

/// @file
/// TypiClust: the most typical row of each cluster that has no label yet.

#include <limbeck/selection/k_means.hpp>

LIMBECK_BEGIN_NAMESPACE

/// k-means into min(labelled + budget, most_clusters) clusters; then cluster after cluster, those with the fewest
/// labelled rows first and the large before the small, gives its most typical row that is not labelled or chosen:
/// typicality(x) = 1 / mean of d(x, y) over the K rows y nearest to it among them, K = min(neighbours, half of them).
/// Clusters of no more than `smallest` rows give none until the others have nothing left. Among equals: the lower
/// cluster, the lower row.
///
/// For the first labels, where a model knows nothing and uncertainty means little: typical rows teach more than odd
/// ones. Takes embeddings that were learnt without labels; the authors' have length 1, `typiclust<cosine_distance>`.
/// Hacohen, Dekel and Weinshall, Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets, 2022,
/// arXiv:2202.02794. As in the paper distances are not squared; the authors' code squares them. There more than 50
/// clusters come from k-means of minibatches.
///
/// Reads the pool as k_means does, and then the rows of each cluster; holds 16 bytes a row, the centroids, and the rows
/// of one cluster. O(pool x clusters x columns) a step of k-means and O(rows^2 x columns) for each choice in a cluster
/// of so many rows.
/// @tparam Metric one that embeds rows, see metric.hpp
template <class Metric = euclidean_distance>
struct typiclust {
  std::size_t neighbours = 20;      ///< K, at least 1
  std::size_t smallest = 5;         ///< clusters of no more rows come last
  std::size_t most_clusters = 500;  ///< at least 1
  std::size_t steps = 100;          ///< of k-means, at most
  Metric metric{};                  ///< what distance is

  /// The rows chosen, budget many.
  /// @throws shape_error, value_error: see query; `neighbours` or `most_clusters` 0; a number of the pool that is not
  /// finite; a row outside the space.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    const auto& reader = as_reader(pool);
    using Reader = std::remove_cvref_t<decltype(reader)>;
    const auto n = static_cast<std::size_t>(reader.size());
    const std::vector<unsigned char> labelled = check_query(q, n);
    if (neighbours == 0) raise<value_error>("limbeck: neighbours is 0, expected at least 1");
    if (most_clusters == 0) raise<value_error>("limbeck: most_clusters is 0, expected at least 1");
    const std::size_t clusters = (std::min)(q.labelled.size() + q.budget, most_clusters);
    const auto found = k_means<Metric>{.clusters = clusters, .steps = steps, .metric = metric}(reader, q.seed);

    struct cluster {
      std::size_t size = 0, labels = 0;
      std::vector<std::size_t> open{};  // rows that may be chosen
    };
    std::vector<cluster> all(clusters);
    for (std::size_t r = 0; r < n; ++r) {
      cluster& c = all[found.of[r]];
      ++c.size;
      c.labels += labelled[r];
      if (!labelled[r]) c.open.push_back(r);
    }
    std::stable_sort(all.begin(), all.end(), [](const cluster& a, const cluster& b) {
      return a.labels != b.labels ? a.labels < b.labels : a.size > b.size;
    });

    detail::embedded_rows<Reader, Metric> row(reader, metric);
    std::vector<std::size_t> chosen;
    for (const bool few : {false, true}) {
      for (bool more = true; more && chosen.size() < q.budget;) {
        more = false;
        for (cluster& c : all) {
          if (c.open.empty() || (c.size <= smallest) != few || chosen.size() == q.budget) continue;
          const auto best = c.open.begin() + static_cast<std::ptrdiff_t>(most_typical(row, c.open));
          chosen.push_back(*best);
          c.open.erase(best);
          more = true;
        }
      }
    }
    return chosen;
  }

 private:
  /// The place in @p members of the row with the least mean distance to its neighbours.
  template <class Rows>
  std::size_t most_typical(Rows& row, const std::vector<std::size_t>& members) const {
    using T = typename Rows::scalar;
    const std::size_t m = members.size(), width = row.width(), k = (std::min)(neighbours, m / 2);
    std::vector<T> x;
    x.reserve(m * width);
    row.template each_of<false>(members, [&](std::size_t, const T* e) { x.insert(x.end(), e, e + width); });
    std::size_t best = 0;
    double least = (std::numeric_limits<double>::infinity)();
    std::vector<double> squares(m);
    for (std::size_t i = 0; i < m && k > 0; ++i) {
      for (std::size_t j = 0; j < m; ++j) squares[j] = detail::square_between(&x[i * width], &x[j * width], width);
      squares[i] = (std::numeric_limits<double>::infinity)();
      std::partial_sort(squares.begin(), squares.begin() + static_cast<std::ptrdiff_t>(k), squares.end());
      double total = 0;
      for (std::size_t j = 0; j < k; ++j) total += std::sqrt(squares[j]);
      if (total < least) least = total, best = i;
    }
    return best;
  }
};

LIMBECK_END_NAMESPACE

#endif
