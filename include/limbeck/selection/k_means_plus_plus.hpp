#ifndef LIMBECK_SELECTION_K_MEANS_PLUS_PLUS_HPP
#define LIMBECK_SELECTION_K_MEANS_PLUS_PLUS_HPP

/// @file
/// k-means++: rows drawn by their squared distance to what has been drawn.

#include <limbeck/core/random.hpp>
#include <limbeck/selection/centres.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Sum of (a - b)^2 in double.
template <class T>
double square_between(const T* a, const T* b, std::size_t width) {
  double sums[8] = {};  // side by side, so that the compiler takes them in packs
  std::size_t c = 0;
  const auto add = [&](std::size_t k, std::size_t l) {
    const double e = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sums[l] += e * e;
  };
  for (; c + 8 <= width; c += 8)
    for (std::size_t l = 0; l < 8; ++l) add(c + l, l);
  for (; c < width; ++c) add(c, 0);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// Row r with probability mass(r)/sum of mass; the lowest row that is not taken where all masses are 0.
/// @throws value_error where a mass is not finite.
template <class Mass>
std::size_t draw_by_mass(const std::vector<unsigned char>& taken, random_stream& random, Mass&& mass) {
  double total = 0, largest = 0;
  for (std::size_t r = 0; r < taken.size(); ++r) {
    if (taken[r]) continue;
    const double m = mass(r);
    if (!std::isfinite(m))
      raise<value_error>("limbeck: weight times squared distance is " + show(m) + " at row " + std::to_string(r) +
                         ", expected a finite number");
    total += m;
    largest = (std::max)(largest, m);
  }
  double by = 1;
  if (!std::isfinite(total)) {  // the sum overflows: all over the largest
    by = 1 / largest;
    total = 0;
    for (std::size_t r = 0; r < taken.size(); ++r)
      if (!taken[r]) total += mass(r) * by;
  }
  if (!(total > 0)) return static_cast<std::size_t>(std::find(taken.begin(), taken.end(), 0) - taken.begin());
  const double wanted = random.uniform() * total;
  double reached = 0;
  std::size_t last = taken.size();
  for (std::size_t r = 0; r < taken.size(); ++r) {
    if (taken[r] || !(mass(r) > 0)) continue;
    reached += mass(r) * by;
    last = r;
    if (reached > wanted) break;
  }
  return last;
}

/// D^2 sampling: @p budget rows, each with a probability in proportion to weight(r) nearest[r], where nearest[r] is the
/// squared distance to the nearest centre. `approach(r)` makes row r a centre: it lowers what is larger than the
/// distance to it.
template <class Weight, class Approach>
std::vector<std::size_t> draw_apart(std::vector<std::size_t> chosen, std::size_t budget,
                                    const std::vector<double>& nearest, std::vector<unsigned char>& taken,
                                    random_stream& random, Weight&& weight, Approach&& approach) {
  for (std::size_t k = 0;; ++k) {
    if (k == chosen.size())
      chosen.push_back(draw_by_mass(taken, random, [&](std::size_t r) { return weight(r) * nearest[r]; }));
    taken[chosen[k]] = 1;
    if (k + 1 == budget) return chosen;
    approach(chosen[k]);
  }
}

/// The weight of row @p r, 1 where there are none. @throws value_error
inline double row_weight(const any_vector& weights, std::size_t r) {
  if (weights.empty()) return 1;
  const double w = weights.number(r);
  if (!(w >= 0 && std::isfinite(w))) throw_weight_of_row(w, r);
  return w;
}

}  // namespace detail

/// D^2 sampling: P(i) = w_i min_{s in S} d(x_i, s)^2 / sum of the same, S := S + {i}, from S = the labelled rows, by
/// draws from `query::seed`. Where nothing is labelled the first row is `first`, or drawn with P(i) = w_i / sum w. Once
/// every row that is left is on a centre, or weighs nothing, the lowest is taken.
///
/// Far rows are likely, not certain: outliers are chosen as often as they are many, which k_center cannot say. Arthur
/// and Vassilvitskii, k-means++: The Advantages of Careful Seeding, 2007: the rows are seeds of k-means within O(log k)
/// of the best, in expectation.
///
/// Reads the pool budget times in order, in blocks. Holds 9 bytes a row of the pool, and the labelled rows. O(pool x
/// (labelled + budget) x columns).
/// @tparam Metric one that embeds rows, see metric.hpp
template <class Metric = euclidean_distance>
struct k_means_plus_plus {
  static_assert(detail::embedding<Metric>, "limbeck: k_means_plus_plus needs a metric that embeds rows");
  Metric metric{};                     ///< what distance is
  any_vector weights{};                ///< w, one a row of the pool, finite, >= 0; default 1
  std::optional<std::size_t> first{};  ///< the first choice where nothing is labelled; default: drawn

  /// The rows drawn, budget many.
  /// @throws shape_error, value_error: see query; a number of the pool that is not finite; a row outside the space;
  /// weights of another length, negative or not finite; `first` outside the pool.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    const auto& reader = as_reader(pool);
    using Reader = std::remove_cvref_t<decltype(reader)>;
    using T = typename Reader::scalar;
    const auto n = static_cast<std::size_t>(reader.size());
    std::vector<unsigned char> taken = check_query(q, n);
    detail::check_first_and_weights(first.value_or(0), weights, n);
    const auto weight = [&](std::size_t r) { return detail::row_weight(weights, r); };
    for (std::size_t r = 0; r < n; ++r) weight(r);
    detail::embedded_rows<Reader, Metric> row(reader, metric);

    detail::centres<T, Metric> labelled(metric, row.width());
    row.template each_of<true>(q.labelled, [&](std::size_t, const T* x) { labelled.add(x); });
    std::vector<double> nearest(n, (std::numeric_limits<double>::infinity)());
    row.template each<true>([&](std::size_t r, const T* x) {
      for (std::size_t b = 0; b * labelled.block < labelled.size(); ++b)
        nearest[r] = (std::min)(nearest[r], labelled.nearest(x, b));
    });

    random_stream random(q.seed);
    std::vector<std::size_t> chosen;
    if (q.labelled.empty()) chosen.push_back(first ? *first : detail::draw_by_mass(taken, random, weight));
    std::vector<T> centre(row.width());
    return detail::draw_apart(std::move(chosen), q.budget, nearest, taken, random, weight, [&](std::size_t s) {
      std::copy_n(row(s), row.width(), centre.data());
      row.template each<false>([&](std::size_t r, const T* x) {
        if (!taken[r]) nearest[r] = (std::min)(nearest[r], detail::square_between(x, centre.data(), row.width()));
      });
    });
  }
};

LIMBECK_END_NAMESPACE

#endif
