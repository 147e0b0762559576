#ifndef LIMBECK_SELECTION_FACILITY_LOCATION_HPP
#define LIMBECK_SELECTION_FACILITY_LOCATION_HPP

/// @file
/// Facility location: rows that stand for the others.

#include <limbeck/engine/math.hpp>
#include <limbeck/selection/centres.hpp>
#include <limbeck/selection/shared_pool.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

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
/// summed in one order, 64 rows at a time in the pool's type, and these sums in whole numbers, of which the largest gain
/// that there could be is less than 2^60; rounding keeps the order of sums, so gains only fall in floating point too, and
/// the choices are the naive loop's over the same sums, bit for bit. Equal rows have equal gains. Between rows whose gains are
/// closer than their rounding (of floats, a millionth of the gain), it is rounding that chooses: the same for any number of
/// ranks, while sums in another order, elsewhere or on other processors, may choose another of them.
///
/// Recomputes similarities: holds 32 bytes a row of the pool. O(pool^2 x columns) to begin with, then a part of that
/// for each choice: meant for a class, or for what another selector has left. A pool that is read rather than held is
/// read pool x columns / 65536 times to begin with, and a few times for each choice.
/// @tparam Similarity cosine_similarity, gaussian_similarity, or any embedding metric (metric.hpp) that is also called
/// with a pack of squared distances and falls with them, from a finite number at 0
template <class Similarity = cosine_similarity>
struct facility_location {
  Similarity similarity{};  ///< how well one row stands for another

  /// The rows chosen, budget many.
  /// @throws shape_error, value_error: see query; a number of the pool that is not finite; a row outside the space; a similarity
  /// that is not finite at distance 0.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    return over(one_rank{}, pool, q);
  }
  /// The same rows, bit for bit, of a pool in shards: see over_ranks(). Every row is weighed against the rows of all ranks: to begin
  /// with the whole pool travels to each, once; then, for each choice, a few packs of rows that may be next, in some six messages. Of
  /// each row that is weighed, 8 bytes are added over ranks. The work of a rank is that of its rows; the bounds, 21 bytes a row of the
  /// *whole* pool, are on every rank. To begin with up to 63 rows of each rank join those of the rank before it.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    auto&& reader = as_reader(own);
    return run<C, std::remove_cvref_t<decltype(reader)>>{comm, similarity, reader, q}();
  }

 private:
  template <class C, class Reader>
  struct run {
    using T = typename Reader::scalar;
    using K = host_lanes<T>;
    using X = pack<K>;
    using block_list = detail::centres<T, Similarity>;
    static constexpr std::size_t L = K::count;
    static constexpr std::size_t summed = 64;  // rows: a sum of floats stays short

    const C& comm;
    const Similarity& similarity;
    const query& q;
    const shared_pool share;
    detail::embedded_rows<Reader, Similarity> row;
    // This rank covers the rows whose blocks of 64 begin in its own: so a block's sum is that of one machine.
    std::size_t skipped;      // own rows that belong to a block of a rank before
    std::vector<T> borrowed;  // rows behind its own that belong to its last block
    std::vector<T> cover;     // of each that it covers: the similarity to its best choice
    double units;             // of gains, in 1
    detail::tournament gains;
    std::vector<std::size_t> recent;  // what has been weighed since the last choice, and its numbers: one of these is the next
    std::vector<T> recent_numbers;
    detail::noted_fault fault;  // of this rank's rows

    run(const C& c, const Similarity& s, const Reader& reader, const query& what)
        : comm(c),
          similarity(s),
          q(what),
          share(check_query(c, reader, what, digest())),
          row(reader, s, share.columns),
          skipped((std::min)(whole_blocks(share.of.first()) - share.of.first(), share.of.count())),
          units(units_for(share.of.total())),
          gains(std::vector<double>(share.of.total(), -1)) {}

    /// The first block that begins at or behind row @p r, in rows.
    static std::size_t whole_blocks(std::size_t r) { return (r + summed - 1) / summed * summed; }
    /// Of what the similarity says of some squared distances.
    std::uint64_t digest() const {
      const auto of = [&](double square) { return static_cast<double>(K::highest(similarity(X(static_cast<T>(square))).v)); };
      return detail::digest_of_numbers(of(0), of(0.25), of(1));
    }
    /// So that sums over all rows are less than 2^60, and finite itself. @throws value_error
    double units_for(std::size_t rows_of_pool) const {
      const double most = static_cast<double>(K::highest(similarity(X(0)).v));
      if (!std::isfinite(most))
        raise<value_error>("limbeck: the similarity at distance 0 is " + detail::show(most) + ", expected a finite number");
      return most > 0 ? std::ldexp(1.0, (std::min)(1023, 58 - std::ilogb(most) - std::ilogb(static_cast<double>(rows_of_pool)))) : 1;
    }
    /// To the @p p-th pack of centres.
    X similar(const T* x, const block_list& to, std::size_t p) const {
      constexpr std::size_t packs = block_list::block / L;
      return similarity(detail::squared_distances<K>(x, row.width(), to[p / packs] + p % packs * L));
    }
    /// `f(i, row)` for every row that this rank covers, from 0. Where a row cannot be read, the others are told with the next gains.
    template <class F>
    void each_covered(const F& f) {
      const auto all = [&] {
        row.template each_own<false>([&](std::size_t r, const T* x) {
          if (r >= skipped) f(r - skipped, x);
        });
        const std::size_t own = share.of.count() - skipped;
        for (std::size_t i = 0; i * row.width() < borrowed.size(); ++i) f(own + i, borrowed.data() + i * row.width());
      };
      if (comm.size() == 1) {
        all();
      } else if (fault.kind == detail::rank_fault::none) {
        fault = detail::note_fault(all);
      }
    }
    template <class F>
    void read_of_ranks(std::span<const std::size_t> rows, const F& f) {
      detail::each_row_of_ranks<false>(comm, share.of, row, rows, f);
    }
    /// Row @p r, among those that have travelled since the last choice if it is.
    void read_chosen(std::size_t r, block_list& to) {
      const auto at = std::find(recent.begin(), recent.end(), r);
      if (at != recent.end()) return to.add(recent_numbers.data() + static_cast<std::size_t>(at - recent.begin()) * row.width());
      read_of_ranks(std::span<const std::size_t>(&r, 1), [&](const T* x) { to.add(x); });
    }
    /// Checks all rows, and takes over those that belong to this rank's last block.
    void meet() {
      agree(comm, [&] { row.template each_own<true>([](std::size_t, const T*) {}); });
      row.conclude(comm);
      std::vector<std::size_t> moved;
      for (int k = 0; k < share.of.ranks(); ++k)
        for (std::size_t r = share.of.first_of(k), n = share.of.count_of(k); n > 0 && r % summed != 0; ++r, --n) moved.push_back(r);
      const std::size_t end = share.of.first() + share.of.count();
      auto r = moved.begin();
      read_of_ranks(moved, [&](const T* x) {
        if (*r >= end && skipped < share.of.count() && *r < whole_blocks(end)) borrowed.insert(borrowed.end(), x, x + row.width());
        ++r;
      });
    }
    void cover_by(const block_list& seeds) {
      const std::size_t blocks = (seeds.size() + L - 1) / L;
      each_covered([&](std::size_t i, const T* x) {
        for (std::size_t b = 0; b < blocks; ++b) cover[i] = (std::max)(cover[i], K::highest(similar(x, seeds, b).v));
      });
    }
    /// What each of @p rows would add to f. @p again: one of them may be chosen soon.
    void weigh(const std::vector<std::size_t>& rows, bool again) {
      block_list candidates(similarity, row.width());
      const bool keep = again && comm.size() > 1;
      if (keep) recent.insert(recent.end(), rows.begin(), rows.end());
      read_of_ranks(rows, [&](const T* x) {
        candidates.add(x);
        if (keep) recent_numbers.insert(recent_numbers.end(), x, x + row.width());
      });
      const std::size_t blocks = (rows.size() + L - 1) / L;
      std::vector<std::int64_t> sums(blocks * L + 1);  // and how many ranks could not read their rows
      std::vector<T> parts(blocks * L);
      each_covered([&](std::size_t i, const T* x) {
        for (std::size_t b = 0; b < blocks; ++b) {
          const X more = larger(X(0), similar(x, candidates, b) - X(cover[i]));
          K::store(&parts[b * L], (X::from(K::load(&parts[b * L])) + more).v);
        }
        if (i % summed == summed - 1 || i + 1 == cover.size()) {
          for (std::size_t k = 0; k < parts.size(); ++k) sums[k] += static_cast<std::int64_t>(static_cast<double>(parts[k]) * units + 0.5);
          std::fill(parts.begin(), parts.end(), T(0));
        }
      });
      sums.back() = fault.kind == detail::rank_fault::none ? 0 : 1;
      all_reduce_sum(comm, std::span<std::int64_t>(sums));
      if (sums.back() != 0) detail::agree_on(comm, fault.kind, fault.what);
      for (std::size_t k = 0; k < rows.size(); ++k) gains.set(rows[k], static_cast<double>(sums[k]));
    }

    std::vector<std::size_t> operator()() {
      const std::size_t n = share.of.total();
      block_list seeds(similarity, row.width());
      meet();
      cover.assign(share.of.count() - skipped + borrowed.size() / row.width(), T(0));
      read_of_ranks(q.labelled, [&](const T* x) { seeds.add(x); });
      if (seeds.size() > 0) cover_by(seeds);
      std::vector<unsigned char> taken(n, 0);
      for (const std::size_t r : q.labelled) taken[r] = 1;
      const std::size_t together = (std::max)(L, std::size_t{65536} / row.width() / L * L);
      std::vector<std::size_t> rows;
      for (std::size_t r = 0; r < n; ++r) {
        if (!taken[r]) rows.push_back(r);
        if (rows.size() == together || (r + 1 == n && !rows.empty())) weigh(rows, false), rows.clear();
      }
      std::vector<std::uint32_t> known_at(n, 0);  // how many had been chosen when the gain was computed
      std::vector<std::size_t> chosen;
      for (std::size_t wide = L;;) {
        const auto now = static_cast<std::uint32_t>(chosen.size());
        for (rows.clear(); rows.size() < wide; rows.push_back(gains.top()), gains.set(rows.back(), -1))
          if (known_at[gains.top()] == now || gains[gains.top()] < 0) break;
        if (!rows.empty()) {
          for (const std::size_t r : rows) known_at[r] = now;
          weigh(rows, true);
          wide = (std::min)(2 * wide, together);
          continue;
        }
        wide = L;
        chosen.push_back(gains.top());
        gains.set(chosen.back(), -1);
        if (chosen.size() == q.budget) return chosen;
        block_list last(similarity, row.width());
        read_chosen(chosen.back(), last);
        recent.clear(), recent_numbers.clear();
        cover_by(last);
      }
    }
  };
};

LIMBECK_END_NAMESPACE

#endif
