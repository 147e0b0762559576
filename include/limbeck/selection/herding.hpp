#ifndef LIMBECK_SELECTION_HERDING_HPP
#define LIMBECK_SELECTION_HERDING_HPP

/// @file
/// Herding: rows whose running mean stays at the mean of the pool.

#include <limbeck/ranks/reproducible_sums.hpp>
#include <limbeck/selection/metric.hpp>
#include <limbeck/selection/proposals.hpp>
#include <limbeck/selection/shared_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// i* = argmin_i || mean - (sum of S + x_i)/(|S| + 1) ||, S := S + {i*}, from S = the labelled rows; the mean is over
/// the whole pool, no row is chosen twice, and among equals the lowest is chosen.
///
/// Herding with w := w + mean - x chooses argmax <w, x> (Welling 2009, "Herding dynamical weights to learn"). Chen,
/// Welling and Smola (2010, arXiv:1203.3472) show that for rows of one length, without labels to start from, this is
/// the argmin above; in that form iCaRL (Rebuffi et al. 2017, arXiv:1611.07725) chooses exemplars, after normalising:
/// `herding<cosine_distance>`. DeepCore computes the same distances and takes the *largest*, which moves the mean away;
/// that is not offered.
///
/// Reads the pool budget + 1 times in order, in blocks. Holds O(columns) numbers and a byte a row. O(pool x budget x columns), in
/// double. The mean is one that does not depend on the order of the rows.
/// @tparam Metric one that embeds rows, see metric.hpp: the mean is taken there
template <class Metric = euclidean_distance>
struct herding {
  static_assert(detail::embedding<Metric>, "limbeck: herding needs a metric that embeds rows, for it takes their mean");
  Metric metric{};  ///< where the mean is taken

  /// The rows chosen, budget many.
  /// @throws shape_error, value_error: see query; a number of the pool that is not finite; a row outside the space.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    return choose(one_rank{}, as_reader(pool), q);
  }
  /// The same rows, bit for bit, of a pool in shards: see over_ranks(). Each choice is one round: every rank sends the best of its own
  /// rows and how good it is, together at most 256 KiB to a rank, else 64 bytes a rank and then the chosen row. Four times the
  /// columns travel once, in double, for the mean, and labelled rows once.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    return choose(comm, as_reader(own), q);
  }

 private:
  template <class C, class Reader>
  std::vector<std::size_t> choose(const C& comm, const Reader& pool, const query& q) const {
    using T = typename Reader::scalar;
    shared_pool share = check_query(comm, pool, q);
    const shards& of = share.of;
    const auto total = static_cast<double>(of.total());
    detail::embedded_rows<Reader, Metric> row(pool, metric, share.columns);
    const std::size_t d = row.width();
    detail::reproducible_sums sums(d);
    agree(comm, [&] { row.template each_own<true>([&](std::size_t, const T* x) { sums.add(x, static_cast<double>(row.largest())); }); });
    row.conclude(comm);
    std::vector<double> centre = sums.over(comm);
    for (double& c : centre) c /= total;
    std::vector<double> wanted = centre;  // (|S| + 1) centre - sum of S: where the next row should be
    const auto add = [&](const T* x) {
      for (std::size_t c = 0; c < d; ++c) wanted[c] += centre[c] - static_cast<double>(x[c]);
    };
    detail::each_row_of_ranks<false>(comm, of, row, q.labelled, add);

    std::vector<std::size_t> chosen;
    std::vector<T> copy(d);  // of the best row: what has been read is not read again
    detail::proposals<C, T> best(comm, d, 1);
    while (chosen.size() < q.budget) {
      best.next_round([&](auto& round) {
        std::size_t closest = of.count();
        double least = 0;
        row.template each_own<false>([&](std::size_t r, const T* x) {
          if (share.taken[r]) return;
          const double gap = squared_gap(x, wanted.data(), d);
          if (closest < of.count() && !(gap < least)) return;
          closest = r, least = gap;
          if constexpr (!detail::in_memory<Reader>) std::copy_n(x, d, copy.data());
        });
        const double key = (std::max)(-least, (std::numeric_limits<double>::lowest)());
        if (closest < of.count()) round.add({{key, of.first() + closest}}, detail::in_memory<Reader> ? row(closest) : copy.data());
        return detail::standing{};
      });
      detail::proposed_row& x = *best.best();
      add(best.numbers(x));
      chosen.push_back(static_cast<std::size_t>(x.row));
      if (of.owns(chosen.back())) share.taken[of.local(chosen.back())] = 1;
    }
    return chosen;
  }
  template <class T>
  static double squared_gap(const T* x, const double* wanted, std::size_t d) {
    double sums[8] = {};  // side by side, so that the compiler takes them in packs
    std::size_t c = 0;
    for (; c + 8 <= d; c += 8)
      for (std::size_t l = 0; l < 8; ++l) {
        const double e = wanted[c + l] - static_cast<double>(x[c + l]);
        sums[l] += e * e;
      }
    for (; c < d; ++c) sums[0] += (wanted[c] - static_cast<double>(x[c])) * (wanted[c] - static_cast<double>(x[c]));
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
};

LIMBECK_END_NAMESPACE

#endif
