#ifndef LIMBECK_SELECTION_HERDING_HPP
#define LIMBECK_SELECTION_HERDING_HPP

/// @file
/// Herding: rows whose running mean stays at the mean of the pool.

#include <limbeck/selection/metric.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
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
/// Reads the pool budget + 1 times in order, in blocks. Holds O(columns) numbers. O(pool x budget x columns), in
/// double.
/// @tparam Metric one that embeds rows, see metric.hpp: the mean is taken there
template <class Metric = euclidean_distance>
struct herding {
  static_assert(detail::embedding<Metric>, "limbeck: herding needs a metric that embeds rows, for it takes their mean");
  Metric metric{};  ///< where the mean is taken

  /// The rows chosen, budget many.
  /// @throws shape_error, value_error: see query; a number of the pool that is not finite; a row outside the space.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    auto&& reader = as_reader(pool);
    using Reader = std::remove_cvref_t<decltype(reader)>;
    using T = typename Reader::scalar;
    const std::size_t n = reader.size();
    std::vector<unsigned char> taken = check_query(q, n);
    detail::embedded_rows<Reader, Metric> row(reader, metric);
    const std::size_t d = row.width();
    std::vector<double> centre(d), wanted(d);  // wanted = (|S| + 1) centre - sum of S: where the next row should be
    row.template each<true>([&](std::size_t, const T* x) {
      for (std::size_t c = 0; c < d; ++c) centre[c] += static_cast<double>(x[c]);
    });
    for (std::size_t c = 0; c < d; ++c) wanted[c] = centre[c] /= static_cast<double>(n);
    const auto add = [&](std::size_t r, const T* x) {
      for (std::size_t c = 0; c < d; ++c) wanted[c] += centre[c] - static_cast<double>(x[c]);
      taken[r] = 1;
    };
    row.template each_of<false>(q.labelled, add);

    std::vector<std::size_t> chosen;
    std::vector<T> copy(d);  // of the best row: what has been read is not read again
    while (chosen.size() < q.budget) {
      std::size_t best = n;
      double least = 0;
      row.template each<false>([&](std::size_t r, const T* x) {
        if (taken[r]) return;
        const double gap = squared_gap(x, wanted.data(), d);
        if (best < n && !(gap < least)) return;
        best = r, least = gap;
        if constexpr (!detail::in_memory<Reader>) std::copy_n(x, d, copy.data());
      });
      add(best, detail::in_memory<Reader> ? row(best) : copy.data());
      chosen.push_back(best);
    }
    return chosen;
  }

 private:
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
