#ifndef LIMBECK_SELECTION_SUBPOOL_HPP
#define LIMBECK_SELECTION_SUBPOOL_HPP

/// @file
/// A part of a pool as a pool: what lets one selector work inside another.

#include <limbeck/core/random.hpp>
#include <limbeck/ranks/over_ranks.hpp>
#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/shared_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The row of the whole pool that is row @p r of @p p: r itself, unless p is a part.
template <class P>
std::size_t original_row(const P& p, std::size_t r) {
  if constexpr (requires { p.original_row(r); }) {
    return p.original_row(r);
  } else {
    return r;
  }
}
template <class P>
std::size_t original_size(const P& p) {
  if constexpr (requires { p.original_size(); }) {
    return p.original_size();
  } else {
    return static_cast<std::size_t>(p.size());
  }
}

/// Rows @p chosen, which ascend, of the reader @p whole.
template <class Reader>
struct subpool {
  using scalar = typename Reader::scalar;
  static constexpr bool in_memory = detail::in_memory<Reader>;
  const Reader& whole;
  std::span<const std::size_t> chosen;
  std::size_t size() const { return chosen.size(); }
  std::size_t columns() const { return static_cast<std::size_t>(whole.columns()); }
  std::size_t original_row(std::size_t r) const { return detail::original_row(whole, chosen[r]); }
  std::size_t original_size() const { return detail::original_size(whole); }
  /// Rows that lie close together are read at once.
  void read(std::size_t first, std::size_t count, scalar* out) const {
    read_rows(whole, chosen.subspan(first, count), out);
  }
};
template <class Reader>
const typename Reader::scalar* row_of(const subpool<Reader>& p, std::size_t r, typename Reader::scalar* buffer) {
  return row_of(p.whole, p.chosen[r], buffer);
}

/// The rows of another pool that stand beside those of @p p, which may be a part of its whole.
template <class Other>
class rows_beside {
 public:
  using reader = std::remove_cvref_t<decltype(as_reader(std::declval<const Other&>()))>;
  /// @throws shape_error where @p other has not one row for each of the whole pool.
  template <class P>
  rows_beside(const P& p, const Other& other, const char* what) : whole_(as_reader(other)), chosen_(static_cast<std::size_t>(p.size())) {
    if (static_cast<std::size_t>(whole_.size()) != original_size(p))
      raise<shape_error>("limbeck: " + std::string(what) + " has " + std::to_string(whole_.size()) + " rows, expected " +
                         std::to_string(original_size(p)) + ", as the pool beside it");
    for (std::size_t r = 0; r < chosen_.size(); ++r) chosen_[r] = original_row(p, r);
  }
  /// As a pool, good as long as this is.
  subpool<reader> rows() const { return {whole_, chosen_}; }

 private:
  decltype(as_reader(std::declval<const Other&>())) whole_;  // a view of memory, or a reference to the reader
  std::vector<std::size_t> chosen_;
};

/// What @p selector chooses over @p comm; of one rank whatever can be called.
template <class C, class Selector, class Pool>
std::vector<std::size_t> ask(const C& comm, const Selector& selector, const Pool& own, const query& q) {
  if constexpr (std::is_same_v<C, one_rank>) {
    return selector(own, q);
  } else {
    require_selector_over_ranks<Selector, C, Pool>();
    if constexpr (requires { selector.over(comm, own, q); }) return selector.over(comm, own, q);
    return {};
  }
}

/// What @p selector chooses in a part of the pool, as places there: @p rows are this rank's rows of it, which ascend, and @p labelled
/// the places that are its seeds.
template <class C, class Selector, class Reader>
std::vector<std::size_t> ask_part(const C& comm, const Selector& selector, const Reader& own, const query& q,
                                  std::span<const std::size_t> rows, std::span<const std::size_t> labelled, std::size_t budget,
                                  std::uint64_t seed) {
  std::vector<std::int64_t> labels;
  if (!q.labels.empty())
    for (const std::size_t r : rows) labels.push_back(q.labels.integer(r));
  query inner;
  inner.budget = budget;
  inner.labelled = labelled;
  if (!q.labels.empty()) inner.labels = view_vector(labels);
  inner.seed = seed;
  return ask(comm, selector, subpool<Reader>{own, rows}, inner);
}

/// What @p selector chooses among the rows @p part of a pool in shards, which ascend and are the same on every rank, as rows of the
/// pool. The rows of it that are labelled are its seeds.
template <class C, class Selector, class Reader>
std::vector<std::size_t> select_within(const C& comm, const shards& of, const Selector& selector, const Reader& own, const query& q,
                                       std::span<const std::size_t> part, std::size_t budget, std::uint64_t seed) {
  std::vector<std::size_t> labelled, rows;
  for (const std::size_t r : q.labelled) {
    const auto at = std::lower_bound(part.begin(), part.end(), r);
    if (at != part.end() && *at == r) labelled.push_back(static_cast<std::size_t>(at - part.begin()));
  }
  for (const std::size_t r : part)
    if (of.owns(r)) rows.push_back(of.local(r));
  std::vector<std::size_t> chosen = ask_part(comm, selector, own, q, rows, labelled, budget, seed);
  for (std::size_t& r : chosen) r = part[r];
  return chosen;
}

/// A seed of its own for part @p index of the work.
inline std::uint64_t seed_of_part(std::uint64_t seed, std::size_t index) { return random_stream(seed).split(index)(); }

/// @p rows and the labelled ones, ascending, each once.
inline std::vector<std::size_t> with_labelled(std::vector<std::size_t> rows, const query& q) {
  rows.insert(rows.end(), q.labelled.begin(), q.labelled.end());
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

}  // namespace detail

/// A selector that chooses only among some rows: what a filter has left.
template <class Selector>
struct among_selector {
  std::vector<std::size_t> rows;  ///< of the pool, in any order
  Selector selector;              ///< who chooses

  /// Labelled rows stay seeds, whether they are among the rows or not.
  /// @throws value_error where a row is not in the pool or the budget is more than the rows that are not labelled.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    return over(one_rank{}, pool, q);
  }
  /// The same rows of a pool in shards, where the selector can be asked over ranks: see over_ranks(). `rows` are of the whole, the same on
  /// every rank.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    const auto& reader = as_reader(own);
    std::uint64_t digest = detail::digest_of_numbers(rows.size());
    for (const std::size_t r : rows) digest = detail::digest_of_numbers(digest, r);
    const shards of = check_query(comm, reader, q, digest).of;
    for (const std::size_t r : rows)
      if (r >= of.total())
        raise<value_error>("limbeck: among names row " + std::to_string(r) + ", but the pool has " +
                           std::to_string(of.total()) + " rows");
    return detail::select_within(comm, of, selector, reader, q, detail::with_labelled(rows, q), q.budget, q.seed);
  }
};
/// `among(kept, selector)`: @p selector, but only among the rows @p kept.
template <class Selector>
among_selector<Selector> among(std::vector<std::size_t> kept, const Selector& selector) {
  return {std::move(kept), selector};
}

LIMBECK_END_NAMESPACE

#endif
