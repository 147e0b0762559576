#ifndef LIMBECK_SELECTION_MIXTURE_HPP
#define LIMBECK_SELECTION_MIXTURE_HPP

/// @file
/// Selectors made of selectors: uncertainty first, diversity then; and shares of one budget.

#include <limbeck/selection/subpool.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// See preselect().
template <class First, class Then>
struct preselected {
  First first;    ///< who narrows the pool
  double factor;  ///< to how many times the budget
  Then then;      ///< who chooses among what is left

  /// @throws value_error, shape_error as the query is wrong.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    return over(one_rank{}, pool, q);
  }
  /// The same rows of a pool in shards, where both can be asked over ranks: see over_ranks().
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    const auto& reader = as_reader(own);
    const shards of = check_query(comm, reader, q, detail::digest_of_numbers(factor)).of;
    const auto free_rows = static_cast<double>(of.total() - q.labelled.size());
    const double wanted = std::ceil(factor * static_cast<double>(q.budget));
    query wide = q;
    wide.budget = static_cast<std::size_t>(wanted < free_rows ? wanted : free_rows);
    const auto rows = detail::with_labelled(detail::ask(comm, first, reader, wide), q);
    return detail::select_within(comm, of, then, reader, q, rows, q.budget, detail::seed_of_part(q.seed, 1));
  }
};
/// `preselect(by_highest(entropy{}), 10, k_center{})`: @p first chooses ceil(factor budget) rows (all, where there are
/// fewer), and @p then chooses the budget among them, with the labelled rows as seeds. The usual way to have both
/// uncertainty and diversity (Wei, Iyer and Bilmes, Submodularity in Data Subset Selection and Active Learning, 2015:
/// filtered active submodular selection). @throws value_error where @p factor is below 1.
template <class First, class Then>
preselected<First, Then> preselect(const First& first, double factor, const Then& then) {
  if (!(factor >= 1 && factor < 1e18))
    raise<value_error>("limbeck: factor is " + detail::show(factor) + ", expected at least 1");
  return {first, factor, then};
}

/// A selector and its part of a budget: see shares().
template <class Selector>
struct selector_share {
  double part;        ///< not negative; shares are relative to their sum
  Selector selector;  ///< who chooses it
};
/// @throws value_error where @p part is negative or no number.
template <class Selector>
selector_share<Selector> share(double part, const Selector& selector) {
  if (!(part >= 0 && part < 1e18))
    raise<value_error>("limbeck: share is " + detail::show(part) + ", expected a number of at least 0");
  return {part, selector};
}

/// See shares().
template <class... Selector>
struct shared_budget {
  std::tuple<selector_share<Selector>...> parts;  ///< in order of choice

  /// @throws value_error, shape_error as the query is wrong.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    return over(one_rank{}, pool, q);
  }
  /// The same rows of a pool in shards, where all can be asked over ranks: see over_ranks().
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    const auto& reader = as_reader(own);
    std::uint64_t digest = 0;
    std::apply([&](const auto&... s) { digest = detail::digest_of_numbers(s.part...); }, parts);
    (void)check_query(comm, reader, q, digest);
    std::vector<std::size_t> chosen, taken(q.labelled.begin(), q.labelled.end());
    double total = 0, reached = 0;
    std::apply([&](const auto&... s) { (void)(..., (total += s.part)); }, parts);
    std::size_t index = 0;
    const auto take = [&](const auto& s) {
      reached += s.part;
      const bool last = ++index == sizeof...(Selector);
      const auto until =
          last ? q.budget
               : static_cast<std::size_t>(std::floor(static_cast<double>(q.budget) * (reached / total) + 0.5));
      if (until <= chosen.size()) return;
      query inner = q;
      inner.budget = until - chosen.size();
      inner.labelled = taken;
      inner.seed = detail::seed_of_part(q.seed, index);
      const std::vector<std::size_t> rows = detail::ask(comm, s.selector, reader, inner);
      chosen.insert(chosen.end(), rows.begin(), rows.end());
      taken.insert(taken.end(), rows.begin(), rows.end());
    };
    std::apply([&](const auto&... s) { (..., take(s)); }, parts);
    return chosen;
  }
};
/// `shares(share(0.7, by_highest(entropy{})), share(0.3, random_rows{}))`: each selector in turn chooses its part of
/// the budget, and sees what was chosen before it as labelled: no row comes twice, and selectors of diversity keep away
/// from it. Up to selector i, round(budget (part_1 + ... + part_i)/sum) rows are chosen; the last one completes the
/// budget.
/// @throws value_error where all shares are 0.
template <class... Selector>
shared_budget<Selector...> shares(const selector_share<Selector>&... parts) {
  static_assert(sizeof...(Selector) > 0, "limbeck: shares needs at least one share(part, selector)");
  if (!((parts.part + ...) > 0)) raise<value_error>("limbeck: all shares are 0");
  return {{parts...}};
}

LIMBECK_END_NAMESPACE

#endif
