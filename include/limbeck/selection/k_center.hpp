#ifndef LIMBECK_SELECTION_K_CENTER_HPP
#define LIMBECK_SELECTION_K_CENTER_HPP

/// @file
/// k-center greedy: each choice is the row farthest from everything labelled or chosen.

#include <limbeck/selection/centres.hpp>
#include <limbeck/selection/proposals.hpp>
#include <limbeck/selection/shared_pool.hpp>

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

  /// The same rows, bit for bit, of a pool in shards: see over_ranks(). `first` and the rows of the query are rows of the whole,
  /// weights are of the rank's own rows, on all ranks or none. A round of proposals chooses one row or several: each rank settles its
  /// likeliest rows, unless one that all know stands before them, and sends them with their numbers, at most 256 KiB to a rank in all;
  /// where one row of each rank is more than that, 64 bytes a rank travel and then the chosen row. Labelled rows travel once.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    return choose_over(comm, as_reader(own), q, false).rows;
  }
  /// The same with distances and radius.
  template <communicator C, class Pool>
  covering cover_over(const C& comm, const Pool& own, const query& q) const {
    return choose_over(comm, as_reader(own), q, true);
  }

 private:
  template <class Pool>
  covering choose(const Pool& pool, const query& q, bool with_radius) const {
    if constexpr (detail::read_by_host<Pool>) {
      return choose_over(one_rank{}, as_reader(pool), q, with_radius);
    } else {
      return detail::selection_in<detail::pool_memory_t<Pool>>::farthest_first(*this, pool, q, with_radius);
    }
  }
  template <class C, class Reader>
  covering choose_over(const C& comm, const Reader& pool, const query& q, bool with_radius) const {
    using T = typename Reader::scalar;
    using centres = detail::centres<T, Metric>;
    shared_pool share = check_query(comm, pool, q, detail::digest_of_numbers(first, radius));
    const shards& of = share.of;
    const std::size_t n = of.count();
    const bool weighs = all_reduce_max(comm, weights.empty() ? 0 : 1) != 0;  // all ranks that have rows do, or none
    agree(comm, [&] { check_options(of.total(), n, weighs); });
    detail::embedded_rows<Reader, Metric> row(pool, metric, share.columns);
    centres seeds(metric, row.width());
    covering result;
    result.rows.reserve(q.budget);
    const std::span<const std::size_t> start = q.labelled.empty() ? std::span<const std::size_t>(&first, 1) : q.labelled;
    detail::each_row_of_ranks<true>(comm, of, row, start, [&](const T* x) { seeds.add(x); });
    if (q.labelled.empty()) {
      if (of.owns(first)) share.taken[of.local(first)] = 1;
      result.rows.push_back(first);
      result.distances.push_back((std::numeric_limits<double>::infinity)());
    }

    constexpr double gone = detail::standing::gone;
    std::vector<double> bounds((std::max)(n, std::size_t{1}), gone);  // a rank without rows has one that is gone
    // A row that is in memory is held against few centres; one that had to be read, against all.
    const std::size_t at_first = detail::in_memory<Reader> ? (std::min)(seeds.size(), centres::block) : seeds.size();
    detail::likeliest_rows<Reader, Metric> likeliest(row, n, q.labelled.size() + q.budget);
    agree(comm, [&] {
      row.template each_own<true>([&](std::size_t r, const T* x) {
        bounds[r] = share.taken[r] ? gone : weighed(weight(r), seeds.nearest(x, 0));
        for (std::size_t b = 1; b * centres::block < at_first && bounds[r] > 0; ++b)
          bounds[r] = (std::min)(bounds[r], weighed(weight(r), seeds.nearest(x, b)));
        if (bounds[r] > 0) likeliest.offer(r, x, bounds);
      });
    });
    row.conclude(comm);
    std::vector<std::uint32_t> seen(bounds.size(), static_cast<std::uint32_t>(at_first));
    detail::tournament keys(std::move(bounds));
    // Holds a row against centres that it has not seen, as long as that may matter.
    const auto tighten = [&](double& key, std::uint32_t& known, double w, const T* x, auto matters) {
      do {
        const std::size_t b = known / centres::block;
        key = (std::min)(key, weighed(w, seeds.nearest(x, b)));
        known = static_cast<std::uint32_t>((std::min)(seeds.size(), (b + 1) * centres::block));
      } while (known < seeds.size() && matters(key));
    };
    const auto tighten_own = [&](std::size_t r, const T* x, auto matters) {
      double least = keys[r];
      tighten(least, seen[r], weight(r), x, matters);
      keys.set(r, least);
    };
    const auto stands = [&](std::size_t r, double key) { return detail::standing{key, of.first() + r}; };
    const auto is_bound = [&](double key, std::uint32_t known) { return key > 0 && known < seeds.size(); };
    const auto is_settled = [&](std::size_t r) { return !is_bound(keys[r], seen[r]) && (!(keys[r] > 0) || likeliest.has(r)); };

    // Makes the row on top one whose key is no longer a bound, and in memory, or one that stands behind `rival` anyway.
    const auto settle = [&](const detail::standing& rival) {
      std::size_t r = keys.top();
      for (; !is_settled(r) && !rival.before(stands(r, keys[r])); r = keys.top()) {
        if (!likeliest.has(r)) {
          likeliest.read(keys, [&](std::size_t s, const T* y) {
            if (is_bound(keys[s], seen[s])) tighten_own(s, y, [](double least) { return least > 0; });
          });
          continue;
        }
        const std::size_t second = keys.second();
        tighten_own(r, likeliest.find(r), [&](double least) { return keys.before(r, least, second) && !rival.before(stands(r, least)); });
      }
      return r;
    };
    detail::proposals<C, T> ahead(comm, row.width(), 8);
    const auto propose = [&](auto& round, const detail::standing& rival) {
      ahead.each_own([&](const detail::proposed_row& x) {  // they come back, and may be proposed again
        keys.set(of.local(x.row), x.key);
        seen[of.local(x.row)] = x.seen;
      });
      std::size_t r = keys.top();
      while (round.open() && keys[r = settle(rival)] >= 0 && is_settled(r)) {
        round.add({stands(r, keys[r]), weight(r), seen[r]}, keys[r] > 0 ? likeliest.find(r) : nullptr);
        keys.set(r, gone);
      }
      r = keys.top();
      return stands(r, keys[r]);
    };
    // The row that is next; null where none is left.
    const auto next = [&] {
      for (;;) {
        detail::proposed_row* best = ahead.best();
        while (best != nullptr && is_bound(best->key, best->seen)) {
          tighten(best->key, best->seen, best->weight, ahead.numbers(*best), [](double) { return true; });
          best = ahead.best();
        }
        if (best != nullptr ? ahead.certain(*best) : !ahead.any_left()) return best;
        const detail::standing rival = best != nullptr ? detail::standing(*best) : detail::standing{};
        ahead.next_round([&](auto& round) { return propose(round, rival); });
      }
    };
    while (result.rows.size() < q.budget) {
      detail::proposed_row& x = *next();
      const double distance = seeds.distance(x.key);
      if (distance <= radius) break;
      result.rows.push_back(static_cast<std::size_t>(x.row));
      result.distances.push_back(distance);
      if (x.key > 0) seeds.add(ahead.numbers(x));  // at 0 every row that is left is on a centre
      ahead.take(x);
    }
    if (with_radius)
      if (const detail::proposed_row* const x = next()) result.radius = seeds.distance(x->key);
    return result;
  }
  /// What multiplies the key of a row.
  double weight(std::size_t r) const {
    if (weights.empty()) return 1;
    const double w = weights.number(r);
    return detail::embedding<Metric> ? w * w : w;
  }
  /// A weight of 0 silences a distance that has overflowed, too.
  static double weighed(double w, double key) { return w > 0 ? w * key : 0; }
  void check_options(std::size_t n, std::size_t own, bool weighs) const {
    detail::check_first_and_weights(first, weights, n, own);
    if (weighs && weights.empty() && own > 0) detail::throw_length("weights", 0, own);
    for (std::size_t r = 0; r < weights.size(); ++r)
      if (const double w = weights.number(r); !(w >= 0 && std::isfinite(w))) detail::throw_weight_of_row(w, r);
  }
};

LIMBECK_END_NAMESPACE

#endif
