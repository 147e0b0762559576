#ifndef LIMBECK_SELECTION_K_CENTER_HPP
#define LIMBECK_SELECTION_K_CENTER_HPP

/// @file
/// k-center greedy: each choice is the row farthest from everything labelled or chosen.

#include <limbeck/selection/centres.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What k-center greedy chose, and how well it covers the pool.
struct covering {
  std::vector<std::size_t> rows;  ///< in order of choice
  std::vector<double> distances;  ///< of each when it was chosen, to what was labelled or chosen before; falls
  double radius = 0;              ///< the largest distance of a row that is left to its centre; 0 if none is
};


/// Farthest first: i* = argmax_i w_i min_{s in S} d(x_i, s), S := S + {i*}, from S = the labelled rows. Where nothing
/// is labelled, row `first` is the first choice, at distance inf. Among equals the lowest row is chosen.
///
/// The radius it leaves is at most twice the least possible one for so many centres (Gonzalez 1985,
/// doi:10.1016/0304-3975(85)90224-5, for equal weights); as active learning: Sener and Savarese 2018, arXiv:1708.00489,
/// without their mixed integer programme.
///
/// The choices are those of the textbook's loop over the same distances, bit for bit, but lazily: the distance of a row
/// to some of the centres bounds its distance to all, a winner tree keeps the bounds, and only the row on top is held
/// against centres that it has not seen, until it is no longer on top. No row is held against most of the centres.
///
/// Reads the pool once in order, which also checks it; then, from memory, what may be the next choice. Of a pool that
/// is read (see row_reader) it keeps the likeliest choices, as many rows as there will be centres or four blocks, and
/// reads others in blocks only when these are spent; a row that has been read is held against every centre. Holds 24
/// bytes a row of the pool, 36 of one that is read, and the centres. O(pool x (labelled + budget) x columns) at worst;
/// a fraction of that on data with structure.
/// @tparam Metric euclidean_distance, cosine_distance, hellinger_distance or your own, see metric.hpp
template <class Metric = euclidean_distance>
struct k_center {
  Metric metric{};        ///< what distance is
  any_vector weights{};   ///< w, one a row of the pool and in its memory, finite, >= 0: any measure of interest; default 1
  double radius = -1;     ///< stop as soon as every row is within it of a centre; negative: choose budget rows
  std::size_t first = 0;  ///< the first choice where nothing is labelled

  /// The rows chosen: budget many, fewer where `radius` stops it.
  /// @throws shape_error, value_error: see query; a number of the pool that is not finite; a row outside the
  /// space of the metric; weights of another length, negative or not finite; `first` outside the pool.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    return choose(pool, q, false).rows;
  }
  /// The same with the distance of each choice and the radius that is left, which costs about one choice more.
  template <class Pool>
  covering cover(const Pool& pool, const query& q) const {
    return choose(pool, q, true);
  }

 private:
  template <class Pool>
  covering choose(const Pool& pool, const query& q, bool with_radius) const {
    if constexpr (detail::read_by_host<Pool>) {
      return choose_on_host(as_reader(pool), q, with_radius);
    } else {
      return detail::selection_in<detail::pool_memory_t<Pool>>::farthest_first(*this, pool, q, with_radius);
    }
  }
  template <class Reader>
  covering choose_on_host(const Reader& pool, const query& q, bool with_radius) const {
    using T = typename Reader::scalar;
    using centres = detail::centres<T, Metric>;
    const std::size_t n = pool.size();
    std::vector<unsigned char> taken = check_query(q, n);
    check_options(n);
    detail::embedded_rows<Reader, Metric> row(pool, metric);
    centres seeds(metric, row.width());
    covering result;
    result.rows.reserve(q.budget);
    const auto add = [&](std::size_t, const T* x) { seeds.add(x); };
    row.template each_of<true>(q.labelled, add);
    if (q.labelled.empty()) {
      row.template each_of<true>(std::span<const std::size_t>(&first, 1), add);
      taken[first] = 1;
      result.rows.push_back(first);
      result.distances.push_back((std::numeric_limits<double>::infinity)());
    }

    constexpr double gone = -1;  // the key of a row that cannot be chosen
    std::vector<double> bounds(n);
    // A row that is in memory is held against few centres; one that had to be read, against all.
    const std::size_t at_first = detail::in_memory<Reader> ? (std::min)(seeds.size(), centres::block) : seeds.size();
    detail::likeliest_rows<Reader, Metric> likeliest(row, n, q.labelled.size() + q.budget);
    row.template each<true>([&](std::size_t r, const T* x) {
      bounds[r] = taken[r] ? gone : key(r, seeds.nearest(x, 0));
      for (std::size_t b = 1; b * centres::block < at_first && bounds[r] > 0; ++b)
        bounds[r] = (std::min)(bounds[r], key(r, seeds.nearest(x, b)));
      if (bounds[r] > 0) likeliest.offer(r, x, bounds);
    });
    std::vector<std::uint32_t> seen(n, static_cast<std::uint32_t>(at_first));
    detail::tournament keys(std::move(bounds));
    // Holds row r against centres that it has not seen, as long as that may matter.
    const auto tighten = [&](std::size_t r, const T* x, auto matters) {
      double least = keys[r];
      std::size_t done = seen[r];
      do {
        const std::size_t b = done / centres::block;
        least = (std::min)(least, key(r, seeds.nearest(x, b)));
        done = (std::min)(seeds.size(), (b + 1) * centres::block);
      } while (done < seeds.size() && matters(least));
      seen[r] = static_cast<std::uint32_t>(done);
      keys.set(r, least);
    };

    // Makes the row on top one whose key is no longer a bound.
    const auto settle = [&] {
      std::size_t r = keys.top();
      for (; seen[r] < seeds.size() && keys[r] > 0; r = keys.top()) {
        const T* const x = likeliest.find(r);
        if (x == nullptr) {
          likeliest.read(keys, [&](std::size_t s, const T* y) {
            if (seen[s] < seeds.size() && keys[s] > 0) tighten(s, y, [](double least) { return least > 0; });
          });
          continue;
        }
        const std::size_t rival = keys.second();
        tighten(r, x, [&](double least) { return keys.before(r, least, rival); });
      }
      return r;
    };
    while (result.rows.size() < q.budget) {
      const std::size_t r = settle();
      const double distance = seeds.distance(keys[r]);
      if (distance <= radius) break;
      result.rows.push_back(r);
      result.distances.push_back(distance);
      if (keys[r] > 0) seeds.add(likeliest.find(r));  // at 0 every row that is left is on a centre
      keys.set(r, gone);
    }
    if (with_radius) result.radius = seeds.distance((std::max)(0.0, keys[settle()]));
    return result;
  }
  /// A weight of 0 silences a distance that has overflowed, too.
  double key(std::size_t r, double unweighted) const {
    if (weights.empty()) return unweighted;
    const double w = weights.number(r);
    return w > 0 ? (detail::embedding<Metric> ? w * w : w) * unweighted : 0;
  }
  void check_options(std::size_t n) const {
    detail::check_first_and_weights(first, weights, n);
    for (std::size_t r = 0; r < weights.size(); ++r)
      if (const double w = weights.number(r); !(w >= 0 && std::isfinite(w))) detail::throw_weight_of_row(w, r);
  }
};

LIMBECK_END_NAMESPACE

#endif
