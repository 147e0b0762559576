#ifndef LIMBECK_OBJECTIVE_BATCH_NUMBERS_HPP
#define LIMBECK_OBJECTIVE_BATCH_NUMBERS_HPP

/// @file
/// Numbers of all rows inside of signals, measured before the sweep that reads them: see signal/batch_statistics.hpp.

#include <limbeck/core/quantile.hpp>
#include <limbeck/core/team.hpp>
#include <limbeck/core/workspace.hpp>
#include <limbeck/engine/bound_signal.hpp>
#include <limbeck/engine/plan.hpp>
#include <limbeck/engine/problem.hpp>

#include <boost/hana/transform.hpp>
#include <boost/hana/tuple.hpp>

#include <cmath>
#include <cstdint>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Mean, or number at a rank, of the values of the rows that count, by one team; of each group of rows, where there are some.
template <class T>
struct number_of_rows {
  problem<T> in;
  const double* values;
  bool labelled;  // rows without a label have none of these
  rank_in_rows which;
  std::span<const std::size_t> offsets;  // of groups; empty: one of all rows
  double* out;

  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t group) const {
    const std::size_t first = offsets.empty() ? 0 : offsets[group], size = (offsets.empty() ? in.samples() : offsets[group + 1]) - first;
    team_array<double, 3> sums{};  // rows, weights, weighed values
    for_own<double>(team, size, [&](std::size_t i) {
      if (!counts(first + i)) return;
      const double w = in.weight(first + i);
      sums.v[0] += 1, sums.v[1] += w, sums.v[2] += w * values[first + i];
    });
    sums = team.sum(sums);
    double number = 0;
    if (which.mean) {
      if (sums.v[1] != 0) number = sums.v[2] / sums.v[1];
    } else if (sums.v[0] > 0) {
      const double at = which.share * (sums.v[0] - 1), below = std::floor(at);
      number = at_rank(team, first, size, below);
      if (which.interpolated && at > below) number += (at - below) * (at_rank(team, first, size, below + 1) - number);
    }
    if (team.rank() == 0) out[group] = number;
  }

 private:
  LIMBECK_HOST_DEVICE bool counts(std::size_t r) const { return in.valid(r) && (!labelled || in.labelled(r)); }
  /// The value that @p rank others precede: its bits one by one, from the highest. Nothing is sorted or moved.
  template <class Team>
  LIMBECK_HOST_DEVICE double at_rank(const Team& team, std::size_t first, std::size_t size, double rank) const {
    std::uint64_t found = 0;
    for (std::uint64_t bit = std::uint64_t{1} << 63; bit != 0; bit >>= 1) {
      double below = 0;
      for_own<double>(team, size, [&](std::size_t i) {
        if (counts(first + i) && ordered_bits(values[first + i]) < (found | bit)) below += 1;
      });
      if (sum_over(team, below) <= rank) found |= bit;
    }
    return number_of_ordered(found);
  }
};

template <class Signal>
inline constexpr std::size_t statistics_in = 0;
template <class Rows, class S, class U, class Groups>
inline constexpr std::size_t statistics_in<bound_statistic<Rows, S, U, Groups>> = 1 + statistics_in<Rows>;
template <class F, class... S>
inline constexpr std::size_t statistics_in<bound_node<F, S...>> = (statistics_in<S> + ...);

template <class Terms>
inline constexpr std::size_t statistics_of_terms = 0;
template <class... Term>
inline constexpr std::size_t statistics_of_terms<hana::tuple<Term...>> = (statistics_in<typename Term::signal_type> + ... + 0);

/// The signal with numbers where statistics stood; @p measure makes one of a statistic of what holds none.
template <class Signal, class Measure>
auto with_numbers(const Signal& s, const Measure& measure) {
  if constexpr (statistics_in<Signal> == 0) {
    return s;
  } else if constexpr (requires { s.of_rows; }) {
    const auto rows = with_numbers(s.of_rows, measure);
    using Rows = std::remove_cv_t<decltype(rows)>;
    return measure(bound_statistic<Rows, typename Signal::student_slot, typename Signal::teacher_slot, typename Signal::groups_type>{
        {}, rows, s.which, s.groups});
  } else {
    return make_node(s.apply, hana::transform(s.operands, [&](const auto& x) { return with_numbers(x, measure); }));
  }
}

/// The term with another signal.
template <class L, class D, class S, class U, class Signal, class Place, class Other>
constexpr auto weighed_by(const term<L, D, S, U, Signal, Place>& t, const Other& signal) {
  return term<L, D, S, U, Other, Place>{t.loss, signal, t.weight, t.student_t, t.teacher_t, t.power, t.name};
}

/// Where measured numbers stay while the sweep reads them: behind all that calls reserve beside themselves.
template <class Workspace>
Workspace& memory_of_numbers(Workspace& ws) {
  return ws.beside().beside().beside().beside().beside();
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
