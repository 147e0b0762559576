#ifndef LIMBECK_RANKS_OVER_RANKS_HPP
#define LIMBECK_RANKS_OVER_RANKS_HPP

/// @file
/// Selectors asked over ranks: each rank has its rows, and all get the rows that one machine would have chosen.

#include <limbeck/ranks/communicator.hpp>
#include <limbeck/selection/query.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
template <class Selector, class C, class Pool>
constexpr void require_selector_over_ranks() {
  static_assert(read_by_host<Pool>,
                "limbeck: over ranks a pool is read by the host, whose messages travel; copy this rank's rows there, or pass a reader");
  static_assert(!read_by_host<Pool> || requires(const Selector& s, const C& c, const Pool& p, const query& q) { s.over(c, p, q); },
                "limbeck: this selector cannot be asked over ranks, it has no over(communicator, pool, query); those that can are "
                "named in the guide, docs/guide/ranks.md");
}
}  // namespace detail

/// A selector asked over ranks: see over_ranks().
template <communicator C, class Selector>
class selector_over_ranks {
 public:
  /// Asks @p selector over @p comm, which outlives it.
  selector_over_ranks(const C& comm, Selector selector) : comm_(&comm), selector_(std::move(selector)) {}
  /// The rows chosen, of the whole pool and the same on every rank; @p own is this rank's rows, a tensor or a reader.
  /// @throws as the selector, on every rank.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& own, const query& q) const {
    detail::require_selector_over_ranks<Selector, C, Pool>();
    if constexpr (detail::read_by_host<Pool> && requires { selector_.over(*comm_, own, q); }) {
      return selector_.over(*comm_, own, q);
    } else {
      return {};
    }
  }
  /// The same with what else the selector tells: k_center's covering.
  template <class Pool>
  auto cover(const Pool& own, const query& q) const {
    detail::require_selector_over_ranks<Selector, C, Pool>();
    constexpr bool tells = requires { selector_.cover_over(*comm_, own, q); };
    static_assert(tells || !detail::read_by_host<Pool> || !requires { selector_.over(*comm_, own, q); },
                  "limbeck: this selector tells nothing but its rows, it has no cover_over(communicator, pool, query)");
    if constexpr (detail::read_by_host<Pool> && tells) return selector_.cover_over(*comm_, own, q);
  }

 private:
  const C* comm_;
  Selector selector_;
};

/// `over_ranks(world, k_center{})(my_rows, {.budget = 1000, .labelled = labelled})`: @p selector over all ranks' rows, of which each
/// rank passes its own. Rows are numbered over all ranks, rank 0's first: those that are returned, those of `labelled`, those that
/// the selector's options name; labels, weights and scores are of each rank's own rows. A rank may have no rows.
///
/// The rows are the ones that the selector alone chooses of the whole pool in one memory, as far as its `over` says. The ranks have
/// processors of one kind: another one's packs may round otherwise.
/// @p comm outlives the result. For a selector of your own: a member `over(communicator, pool, query)` that begins with
/// check_query(), see selection/shared_pool.hpp.
template <communicator C, class Selector>
selector_over_ranks<C, Selector> over_ranks(const C& comm, Selector selector) {
  return {comm, std::move(selector)};
}

LIMBECK_END_NAMESPACE

#endif
