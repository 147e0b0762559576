#ifndef LIMBECK_SIGNAL_BATCH_STATISTICS_HPP
#define LIMBECK_SIGNAL_BATCH_STATISTICS_HPP

/// @file
/// Numbers of all rows of a call inside of signals: `u < median_of(u)`, `hard / share_of(hard)`.
///
/// They are measured in a sweep of their own before that of the losses, over the rows that count in the call: of micro-batches
/// each has its own. A student of `logits_of` has its logits a chunk at a time, and none of them.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/lifetime.hpp>
#include <limbeck/signal/expression.hpp>

#include <span>
#include <string>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// Which number of all rows: their mean, or that at a share of the ranking.
struct rank_in_rows {
  bool mean = true;
  double share = 0;
  bool interpolated = false;  // between the two ranks around; else the lower of them
};

/// All rows are one group.
struct one_group {
  static constexpr void check(std::size_t) {}
  static constexpr std::size_t size() { return 1; }
  static constexpr std::span<const std::size_t> offsets() { return {}; }
  static std::string describe() { return ""; }
};
/// Sequences, `segments` or whatever else has offsets.
template <class Segments>
struct groups_of {
  const Segments* all;
  void check(std::size_t samples) const {
    if (all->offsets().back() != samples) throw_length("segments", all->offsets().back(), samples, "rows in all");
  }
  std::size_t size() const { return all->offsets().size() - 1; }
  std::span<const std::size_t> offsets() const { return all->offsets(); }
  static std::string describe() { return ", of each sequence"; }
};
/// What shows the offsets that it holds.
template <class G>
concept has_offsets = requires(const std::remove_cvref_t<G>& g) {
  requires std::is_lvalue_reference_v<decltype(g.offsets())> || std::ranges::borrowed_range<decltype(g.offsets())>;
  std::span<const std::size_t>(g.offsets());
};

template <signal S, class Share, class Groups = one_group>
struct batch_statistic_signal {
  using limbeck_signal = signal_expression;
  S of_rows;
  Share share;
  bool mean, interpolated;
  Groups groups{};
  rank_in_rows which(double progress) const {
    const double q = share(progress);
    if (!(q >= 0 && q <= 1)) raise<value_error>("limbeck: quantile_of: the share is " + show(q) + ", expected 0 to 1");
    return {mean, q, interpolated};
  }
  std::string describe() const {
    const std::string rows = described(of_rows) + groups.describe();
    return mean ? "mean_of(" + rows + ')' : interpolated ? "quantile_of(" + rows + ", " + described(share) + ')' : "median_of(" + rows + ')';
  }
};

template <class G, class S, class Share>
constexpr auto of_each(const S& s, const Share& share, bool mean, bool interpolated, G&& g) {
  require_kept<G>();
  return batch_statistic_signal<S, Share, groups_of<std::remove_cvref_t<G>>>{s, share, mean, interpolated, {&g}};
}

}  // namespace detail
/// @endcond

/// The mean of a signal over the rows of a call that count, by their weights, as the mean of a loss is taken.
template <signal S>
constexpr auto mean_of(const S& s) {
  return detail::batch_statistic_signal<S, constant>{s, constant{0}, true, false};
}
/// The share of the rows of which a condition is true, by their weights: `hard / share_of(hard) * loss` is a mean over the hard rows
/// alone, and 0 where there is none (0 / 0 is 0).
template <signal S>
constexpr auto share_of(const S& condition) {
  return mean_of(condition);
}
/// The median of a signal over the rows that count, each once: of an even number the lower of the two in the middle, a number that
/// one of the rows has (as PyTorch's `median`).
template <signal S>
constexpr auto median_of(const S& s) {
  return detail::batch_statistic_signal<S, constant>{s, constant{0.5}, false, false};
}
/// The quantile of a signal at @p share, 0 to 1, a number or a schedule, over the rows that count, each once; between two ranks
/// linearly (as NumPy's and PyTorch's `quantile`). @throws (in a call) value_error where the share is none.
template <signal S, number Q>
constexpr auto quantile_of(const S& s, const Q& share) {
  return detail::batch_statistic_signal<S, decltype(as_schedule(share))>{s, as_schedule(share), false, true};
}

/// The same over the rows of each sequence: a row reads the number of its own. @p s are `segments`, which outlive the signal; on the
/// host. @throws (in a call) shape_error where they have another number of rows than the call.
template <signal S, detail::has_offsets G>
constexpr auto mean_of(const S& s, G&& g) {
  return detail::of_each(s, constant{0}, true, false, std::forward<G>(g));
}
/// The same.
template <signal S, detail::has_offsets G>
constexpr auto share_of(const S& condition, G&& g) {
  return mean_of(condition, std::forward<G>(g));
}
/// The same.
template <signal S, detail::has_offsets G>
constexpr auto median_of(const S& s, G&& g) {
  return detail::of_each(s, constant{0.5}, false, false, std::forward<G>(g));
}
/// The same.
template <signal S, detail::has_offsets G, number Q>
constexpr auto quantile_of(const S& s, G&& g, const Q& share) {
  return detail::of_each(s, as_schedule(share), false, true, std::forward<G>(g));
}

LIMBECK_END_NAMESPACE

#endif
