#ifndef LIMBECK_SELECTION_FACILITY_LOCATION_HPP
#define LIMBECK_SELECTION_FACILITY_LOCATION_HPP

/// @file
/// Facility location: rows that stand for the others.

#include <limbeck/engine/math.hpp>
#include <limbeck/selection/centres.hpp>

#include <cstdint>

LIMBECK_BEGIN_NAMESPACE

/// cos(a, b), at most 1; what is negative counts as 0, for nobody is worse than nothing.
struct cosine_similarity : cosine_distance {
  /// From the squared chord.
  template <class X>
  X operator()(const X& square) const {
    return X(1) - X(0.5) * square;
  }
};

/// exp(-gamma ||a - b||^2), in (0, 1].
struct gaussian_similarity {
  static constexpr double scale = 1;
  double gamma;  ///< positive; about 1 over the squared distance that counts as far
  /// @throws value_error where @p rate is not positive.
  explicit gaussian_similarity(double rate = 1) : gamma(rate) {
    if (!(rate > 0 && std::isfinite(rate)))
      raise<value_error>("limbeck: gamma is " + detail::show(rate) + ", expected a positive number");
  }
  /// From the squared distance.
  template <class X>
  X operator()(const X& square) const {
    return detail::exp2_negative(X(static_cast<typename X::scalar>(-1.44269504088896340736 * gamma)) * square);
  }
};

/// Greedy maximisation of f(S) = sum_i max_{j in S} sim(x_i, x_j), with max over nothing = 0, from S = the labelled
/// rows: each choice adds most to f, among equals the lowest row. f reaches at least 1 - 1/e of the best f (Nemhauser,
/// Wolsey and Fisher 1978, doi:10.1007/BF01588971).
///
/// Lazy (Minoux 1978, doi:10.1007/BFb0006528): gains only fall, so the row on top of a winner tree is brought up to
/// date, and with it those that follow it: a pack of rows, then twice as many, until one stays on top. Each gain is
/// summed in one order and rounding keeps the order of sums, so gains only fall in floating point too, and the choices
/// are the naive loop's, bit for bit.
///
/// Recomputes similarities: holds 32 bytes a row of the pool. O(pool^2 x columns) to begin with, then a part of that
/// for each choice: meant for a class, or for what another selector has left. A pool that is read rather than held is
/// read pool x columns / 65536 times to begin with, and a few times for each choice.
/// @tparam Similarity cosine_similarity, gaussian_similarity, or any embedding metric (metric.hpp) that is also called
/// with a pack of squared distances and falls with them
template <class Similarity = cosine_similarity>
struct facility_location {
  Similarity similarity{};  ///< how well one row stands for another

  /// The rows chosen, budget many.
  /// @throws shape_error, value_error: see query; a number of the pool that is not finite; a row outside the space.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    auto&& reader = as_reader(pool);
    return run<std::remove_cvref_t<decltype(reader)>>{similarity, reader, q}();
  }

 private:
  template <class Reader>
  struct run {
    using T = typename Reader::scalar;
    using K = host_lanes<T>;
    using X = pack<K>;
    using block_list = detail::centres<T, Similarity>;
    static constexpr std::size_t L = K::count;

    const Similarity& similarity;
    const query& q;
    std::size_t n;
    std::vector<unsigned char> taken;
    detail::embedded_rows<Reader, Similarity> row;
    std::vector<T> cover;  // of each row: the similarity to its best choice
    detail::tournament gains;

    run(const Similarity& s, const Reader& reader, const query& what)
        : similarity(s),
          q(what),
          n(reader.size()),
          taken(check_query(q, n)),
          row(reader, s),
          gains(std::vector<double>(n, -1)) {}

    /// To the @p p-th pack of centres.
    X similar(const T* x, const block_list& to, std::size_t p) const {
      constexpr std::size_t packs = block_list::block / L;
      return similarity(detail::squared_distances<K>(x, row.width(), to[p / packs] + p % packs * L));
    }
    template <bool Check>
    void cover_by(const block_list& seeds) {
      const std::size_t blocks = (seeds.size() + L - 1) / L;
      row.template each<Check>([&](std::size_t r, const T* x) {
        for (std::size_t b = 0; b < blocks; ++b) cover[r] = (std::max)(cover[r], K::highest(similar(x, seeds, b).v));
      });
    }
    /// What each of @p rows would add to f.
    void weigh(const std::vector<std::size_t>& rows) {
      block_list candidates(similarity, row.width());
      row.template each_of<false>(rows, [&](std::size_t, const T* x) { candidates.add(x); });
      const std::size_t blocks = (rows.size() + L - 1) / L;
      std::vector<double> sums(blocks * L);
      std::vector<T> parts(blocks * L);
      row.template each<false>([&](std::size_t r, const T* x) {
        for (std::size_t b = 0; b < blocks; ++b) {
          const X more = larger(X(0), similar(x, candidates, b) - X(cover[r]));
          K::store(&parts[b * L], (X::from(K::load(&parts[b * L])) + more).v);
        }
        if (r % 64 == 63 || r + 1 == n) {  // a sum of floats stays short
          for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += static_cast<double>(parts[k]);
          std::fill(parts.begin(), parts.end(), T(0));
        }
      });
      for (std::size_t k = 0; k < rows.size(); ++k) gains.set(rows[k], sums[k]);
    }

    std::vector<std::size_t> operator()() {
      cover.assign(n, T(0));
      block_list seeds(similarity, row.width());
      row.template each_of<true>(q.labelled, [&](std::size_t, const T* x) { seeds.add(x); });
      cover_by<true>(seeds);
      const std::size_t together = (std::max)(L, std::size_t{65536} / row.width() / L * L);
      std::vector<std::size_t> rows;
      for (std::size_t r = 0; r < n; ++r) {
        if (!taken[r]) rows.push_back(r);
        if (rows.size() == together || (r + 1 == n && !rows.empty())) weigh(rows), rows.clear();
      }
      std::vector<std::uint32_t> known_at(n, 0);  // how many had been chosen when the gain was computed
      std::vector<std::size_t> chosen;
      for (std::size_t wide = L;;) {
        const auto now = static_cast<std::uint32_t>(chosen.size());
        for (rows.clear(); rows.size() < wide; rows.push_back(gains.top()), gains.set(rows.back(), -1))
          if (known_at[gains.top()] == now || gains[gains.top()] < 0) break;
        if (!rows.empty()) {
          for (const std::size_t r : rows) known_at[r] = now;
          weigh(rows);
          wide = (std::min)(2 * wide, together);
          continue;
        }
        wide = L;
        chosen.push_back(gains.top());
        gains.set(chosen.back(), -1);
        if (chosen.size() == q.budget) return chosen;
        block_list last(similarity, row.width());
        last.add(row(chosen.back()));
        cover_by<false>(last);
      }
    }
  };
};

LIMBECK_END_NAMESPACE

#endif
