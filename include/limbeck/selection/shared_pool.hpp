#ifndef LIMBECK_SELECTION_SHARED_POOL_HPP
#define LIMBECK_SELECTION_SHARED_POOL_HPP

/// @file
/// A pool in shards: each rank reads its own rows, and all ask the same.

#include <limbeck/ranks/digest.hpp>
#include <limbeck/ranks/shards.hpp>
#include <limbeck/selection/query.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What check_query() says of a pool whose rows are each rank's own: row `r` of the whole is row `r - of.first()` of the rank
/// that owns it.
struct shared_pool {
  shards of;                         ///< whose the rows of the whole are: rank 0's come first
  std::size_t columns;               ///< of every row; a rank without rows may think otherwise
  std::vector<unsigned char> taken;  ///< of this rank's rows: not 0 where one is labelled, and so must not be chosen
};

/// check_query() over ranks: @p q asks of the pool that the ranks' rows are together. `labelled` names rows of the whole, the same
/// on every rank; `labels` are those of this rank's rows. @p options: a number that is the same where the selectors are. One message
/// of 56 bytes and one of 8 to each. O(own rows + labelled).
/// @throws shape_error, value_error as check_query(); value_error where the rows of two ranks have different columns or types, or two
/// ranks ask different things. The same on every rank.
template <communicator C, class Reader>
shared_pool check_query(const C& comm, const Reader& own, const query& q, std::uint64_t options = 0) {
  struct asked {
    std::uint64_t rows, columns, bytes, budget, seed, labelled, options;
  };
  asked mine{static_cast<std::size_t>(own.size()), static_cast<std::size_t>(own.columns()), sizeof(typename Reader::scalar),
             q.budget, q.seed, q.labelled.size(), options};
  for (const std::size_t r : q.labelled) mine.labelled = detail::digest_of_numbers(mine.labelled, r);
  const std::vector<asked> all = all_gather(comm, mine);
  // of a rank without rows nobody asks how many columns they have
  const auto has_rows = [](const asked& x) { return x.rows > 0; };
  const auto of_pool = std::find_if(all.begin(), all.end(), has_rows);
  const asked& expected = of_pool == all.end() ? all[0] : *of_pool;
  const auto same = [&](std::uint64_t asked::*what, const char* words, bool shown = true) {
    for (std::size_t k = 0; k < all.size(); ++k) {
      const std::uint64_t here = all[k].*what, there = expected.*what;
      if (here == there || (what == &asked::columns && !has_rows(all[k]))) continue;
      raise<value_error>("limbeck: rank " + std::to_string(k) + " of " + std::to_string(all.size()) + ": " + words +
                         (shown ? " " + std::to_string(here) : "") + ", unlike rank " + std::to_string(&expected - all.data()) +
                         (shown ? "'s " + std::to_string(there) : "") + "; all ranks ask the same");
    }
  };
  same(&asked::columns, "the columns of its rows are");
  same(&asked::bytes, "the bytes of a number in its pool are");
  same(&asked::budget, "the budget is");
  same(&asked::seed, "the seed is");
  same(&asked::labelled, "other rows are labelled", false);
  same(&asked::options, "the selector has other options", false);

  std::vector<std::uint64_t> counts;
  for (const asked& x : all) counts.push_back(x.rows);
  shared_pool pool{shards(comm.rank(), counts), static_cast<std::size_t>(expected.columns), {}};
  pool.taken = agree(comm, [&] { return detail::check_query_of(q, pool.of.total(), pool.of.first(), pool.of.count()); });
  return pool;
}

namespace detail {

/// `f(row)` on every rank for the rows @p wanted of the whole, in their order: each is read, and checked where @p Check says so, by
/// the rank whose it is, and travels once; where they are few, or each rank has as many of them, in one message. Holds some million
/// numbers. Collective.
/// @param rows this rank's, an embedded_rows
template <bool Check, communicator C, class Rows, class F>
void each_row_of_ranks(const C& comm, const shards& of, Rows& rows, std::span<const std::size_t> wanted, F&& f) {
  using T = typename Rows::scalar;
  if constexpr (std::is_same_v<C, one_rank>) {
    rows.template each_of<Check>(wanted, [&](std::size_t, const T* x) { f(x); });
  } else {
    const std::size_t width = rows.width(), most = (std::max)(std::size_t{1}, (std::size_t{1} << 20) / width);
    for (; !wanted.empty(); wanted = wanted.subspan((std::min)(most, wanted.size()))) {
      const auto now = wanted.first((std::min)(most, wanted.size()));
      std::vector<std::vector<std::size_t>> places(static_cast<std::size_t>(of.ranks()));
      std::vector<std::size_t> own;
      for (std::size_t i = 0; i < now.size(); ++i) {
        places[static_cast<std::size_t>(of.rank_of(now[i]))].push_back(i);
        if (of.owns(now[i])) own.push_back(of.local(now[i]));
      }
      std::size_t longest = 0;
      for (const auto& of_rank : places) longest = (std::max)(longest, of_rank.size());
      std::vector<T> all(now.size() * width), mine(longest * width), came;
      agree(comm, [&] {
        T* to = mine.data();
        rows.template each_of<Check>(own, [&](std::size_t, const T* x) { to = std::copy_n(x, width, to); });
      });
      const auto put = [&](std::size_t k, const T* part) {
        for (std::size_t j = 0; j < places[k].size(); ++j) std::copy_n(part + j * width, width, all.data() + places[k][j] * width);
      };
      constexpr std::size_t few = 65536;  // bytes: one message costs less than several
      if (const std::size_t padded = longest * places.size(); padded <= 2 * now.size() || padded * width * sizeof(T) <= few) {
        came = all_gather(comm, std::span<const T>(mine));
        for (std::size_t k = 0; k < places.size(); ++k) put(k, came.data() + k * longest * width);
      } else {
        for (std::size_t k = 0; k < places.size(); ++k) {
          if (places[k].empty()) continue;
          if (static_cast<int>(k) == comm.rank()) came.assign(mine.begin(), mine.end());
          came.resize(places[k].size() * width);
          broadcast(comm, std::span<T>(came), static_cast<int>(k));
          put(k, came.data());
        }
      }
      for (std::size_t i = 0; i < now.size(); ++i) f(all.data() + i * width);
    }
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
