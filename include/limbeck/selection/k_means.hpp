#ifndef LIMBECK_SELECTION_K_MEANS_HPP
#define LIMBECK_SELECTION_K_MEANS_HPP

/// @file
/// k-means: centroids, and which of them each row is nearest to.

#include <limbeck/selection/k_means_plus_plus.hpp>

#include <cstdint>

LIMBECK_BEGIN_NAMESPACE

/// What k_means found.
template <class T>
struct clustering {
  std::vector<T> centroids;        ///< one after the other, where the metric embeds rows
  std::vector<std::size_t> of;     ///< of each row: its centroid, the lowest among equals
  std::vector<std::size_t> sizes;  ///< of each centroid: how many rows it has
  std::size_t steps = 0;           ///< how often the centroids moved
};

/// Lloyd's k-means: each row to its nearest centroid, each centroid to the mean of its rows, sum w x / sum w, until no
/// row moves. Begins at rows drawn by k_means_plus_plus. A centroid whose rows weigh nothing stays where it is.
///
/// Each step lowers sum w |x - centroid|^2, to a minimum that depends on where it began. Lloyd, Least Squares
/// Quantization in PCM, 1982; Arthur and Vassilvitskii, 2007.
///
/// Reads the pool in order and in blocks, `clusters` times to begin with and once a step. Distances are the pool's
/// type, means are summed in double and in order. O(pool x clusters x columns) a step.
/// @tparam Metric one that embeds rows: means are taken where it embeds them, and are not brought back to length 1
template <class Metric = euclidean_distance>
struct k_means {
  std::size_t clusters;     ///< at least 1, at most the rows of the pool
  std::size_t steps = 100;  ///< at most so many
  Metric metric{};          ///< what distance is
  any_vector weights{};     ///< w, one a row, finite, >= 0; default 1

  /// The clusters of @p pool, which begin at draws from @p seed.
  /// @throws shape_error, value_error: as k_means_plus_plus; `clusters` out of range.
  template <class Pool>
  auto operator()(const Pool& pool, std::uint64_t seed = 0) const {
    const auto& reader = as_reader(pool);
    using Reader = std::remove_cvref_t<decltype(reader)>;
    using T = typename Reader::scalar;
    const auto n = static_cast<std::size_t>(reader.size());
    if (n > 0 && (clusters == 0 || clusters > n))
      raise<value_error>("limbeck: clusters is " + std::to_string(clusters) + ", expected 1 to " + std::to_string(n) +
                         ", the rows of the pool");
    const k_means_plus_plus<Metric> seeding{.metric = metric, .weights = weights};
    const std::vector<std::size_t> seeds = seeding(reader, {.budget = clusters, .seed = seed});
    detail::embedded_rows<Reader, Metric> row(reader, metric);
    const std::size_t width = row.width();
    clustering<T> c{std::vector<T>(clusters * width), std::vector<std::size_t>(n, clusters),
                    std::vector<std::size_t>(clusters)};
    std::size_t next = 0;
    row.template each_of<false>(
        seeds, [&](std::size_t, const T* x) { std::copy_n(x, width, c.centroids.data() + next++ * width); });

    std::vector<double> sums(clusters * width), mass(clusters);
    for (;; ++c.steps) {
      detail::centres<T, Metric> centroids(metric, width);
      for (std::size_t k = 0; k < clusters; ++k) centroids.add(c.centroids.data() + k * width);
      std::fill(sums.begin(), sums.end(), 0.0);
      std::fill(mass.begin(), mass.end(), 0.0);
      std::fill(c.sizes.begin(), c.sizes.end(), std::size_t{0});
      bool moved = false;
      row.template each<false>([&](std::size_t r, const T* x) {
        const std::size_t k = centroids.closest(x).first;
        moved = moved || k != c.of[r];
        c.of[r] = k;
        ++c.sizes[k];
        const double w = weights.empty() ? 1 : weights.number(r);
        mass[k] += w;
        for (std::size_t j = 0; j < width; ++j) sums[k * width + j] += w * static_cast<double>(x[j]);
      });
      if (!moved || c.steps == steps) return c;
      for (std::size_t k = 0; k < clusters; ++k)
        for (std::size_t j = 0; j < width && mass[k] > 0; ++j)
          c.centroids[k * width + j] = static_cast<T>(sums[k * width + j] / mass[k]);
    }
  }
};

LIMBECK_END_NAMESPACE

#endif
