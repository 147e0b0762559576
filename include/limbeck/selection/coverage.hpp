#ifndef LIMBECK_SELECTION_COVERAGE_HPP
#define LIMBECK_SELECTION_COVERAGE_HPP

/// @file
/// Selection by difficulty that keeps covering the data. A filter that keeps only what is hard collapses where much is
/// dropped: on CIFAR-10, Zheng et al. report 95.36 % for a filter by forgetting score that drops 30 % of the rows, and
/// 34.03 % where it drops 90 %, less than random choice.

#include <limbeck/selection/by_score.hpp>
#include <limbeck/selection/quantile.hpp>
#include <limbeck/selection/random_rows.hpp>
#include <limbeck/selection/shared_strata.hpp>
#include <limbeck/selection/strata.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Settings of coverage_centric().
struct coverage {
  double prune_hardest = 0;  ///< beta, the fraction of the rows that counts as mislabelled, in [0, 1)
  std::size_t strata = 50;   ///< bands of equal width in difficulty
};

/// See coverage_centric().
template <class Scores>
struct coverage_centric_selector {
  Scores scores;      ///< difficulty, high is hard
  coverage settings;  ///< how much is pruned, and how many bands there are

  /// @throws value_error, shape_error as the query is wrong, value_error where a score is not finite or pruning leaves
  /// fewer rows than the budget.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    return over(one_rank{}, pool, q);
  }
  /// The same rows of a pool in shards: see over_ranks(). Scores and labels are of this rank's rows. What travels is the ends of the
  /// range, 8 bytes a band and 8 a row that is chosen, and where something is pruned 9 messages of 2 KiB.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    const auto& reader = as_reader(own);
    const shared_pool share = check_query(comm, reader, q, detail::digest_of_numbers(settings.prune_hardest, settings.strata));
    std::vector<detail::ranked_row> left = agree(comm, [&] { return free_rows(reader, q, share); });
    const auto total = static_cast<std::size_t>(all_reduce_sum(comm, std::uint64_t{left.size()}));
    const auto pruned = static_cast<std::size_t>(settings.prune_hardest * static_cast<double>(total));
    if (q.budget > total - pruned)
      raise<value_error>("limbeck: prune_hardest leaves " + std::to_string(total - pruned) +
                         " rows, fewer than the budget of " + std::to_string(q.budget));
    if (pruned > 0) prune(comm, left, total, pruned);

    constexpr double nothing = -std::numeric_limits<double>::infinity();
    double ends[2] = {nothing, nothing};  // -lowest, highest
    for (const auto& r : left) {
      ends[0] = (std::max)(ends[0], -r.score);
      ends[1] = (std::max)(ends[1], r.score);
    }
    all_reduce_max(comm, std::span<double>(ends));
    const double lowest = -ends[0], highest = ends[1];
    std::vector<std::vector<std::size_t>> rows_of_band(settings.strata);
    for (const auto& r : left) {
      const double place = highest > lowest ? (r.score - lowest) / (highest - lowest) : 0;
      const auto band = static_cast<std::size_t>(place * static_cast<double>(settings.strata));
      rows_of_band[(std::min)(band, settings.strata - 1)].push_back(r.row);
    }
    const detail::shared_strata bands(comm, share.of, std::move(rows_of_band));
    const std::vector<std::size_t> of_band = detail::allocate(q.budget, bands.sizes());
    random_stream random(q.seed);
    std::vector<std::vector<std::size_t>> chosen;
    for (std::size_t b = 0; b < of_band.size(); ++b) chosen.push_back(detail::drawn_places(bands.sizes()[b], of_band[b], random));
    bands.to_rows(comm, chosen);
    return detail::interleave(chosen);
  }

 private:
  /// This rank's rows that are not labelled, in order. @throws value_error
  template <class Reader>
  std::vector<detail::ranked_row> free_rows(const Reader& p, const query& q, const shared_pool& share) const {
    std::vector<detail::ranked_row> rows_of_it;
    detail::each_score(scores, p, q, [&](std::size_t r, double score) {
      if (share.taken[r]) return;
      if (!(score - score == 0))
        raise<value_error>("limbeck: the difficulty of row " + std::to_string(share.of.first() + r) + " is " + detail::show(score) +
                           ", expected a finite number");
      rows_of_it.push_back({score, r});
    });
    return rows_of_it;
  }
  /// Takes out the hardest of all ranks, among equals the lowest rows.
  template <class C>
  static void prune(const C& comm, std::vector<detail::ranked_row>& left, std::size_t total, std::size_t pruned) {
    std::vector<std::uint64_t> keys;
    keys.reserve(left.size());
    for (const auto& r : left) keys.push_back(detail::ordered_bits(r.score + 0.0));
    detail::largest_cut cut = detail::cut_of_largest(comm, std::span(keys), total, pruned);
    std::erase_if(left, [&](const detail::ranked_row& r) {
      const bool tied = r.score == cut.last && cut.ties > 0;
      if (tied) --cut.ties;
      return tied || r.score > cut.last;
    });
  }
};

/// Coverage-centric selection: drop the hardest rows, floor(beta n) of the n that are not labelled, cut the range of
/// difficulty that is left into bands of equal width, and draw from every band, uniformly at random from the query's
/// seed, an equal share of the budget; a band with fewer rows gives all, and the others make up for it. @p difficulty
/// is high where a row is hard: a signal (`label_loss{}`, `-label_probability{}`) or a vector, as in by_highest(). The
/// paper chooses beta by the pruning rate (on CIFAR-10 between 0 and 0.4, more where more is dropped).
///
/// Zheng, Liu, Lai and Prakash, Coverage-centric Coreset Selection for High Pruning Rates, 2023, arXiv:2210.15809,
/// after their code. There the last band ends at 1.0001 times the largest score, which loses rows where scores are
/// negative; here the largest score belongs to the last band. Balance by class besides:
/// `class_balanced(coverage_centric(...))`.
/// @throws value_error where prune_hardest is not in [0, 1) or there are no strata.
template <class Score>
auto coverage_centric(const Score& difficulty, coverage settings = {}) {
  if (!(settings.prune_hardest >= 0 && settings.prune_hardest < 1))
    raise<value_error>("limbeck: prune_hardest is " + detail::show(settings.prune_hardest) +
                       ", expected a fraction in [0, 1)");
  if (settings.strata == 0) raise<value_error>("limbeck: strata is 0, expected at least 1");
  auto scores = detail::score_source(difficulty);
  return coverage_centric_selector<decltype(scores)>{scores, settings};
}

/// The rows whose difficulty lies between two quantiles, and a guard: of every class at least `at_least` rows, or all
/// it has; where the band holds fewer, those nearest to it are added. For `among(band(losses, labels), selector)`.
/// Difficulty bands are common practice; the guard and its rule are this library's, for the reason at the head of this
/// file.
struct difficulty_band {
  double low = 0;            ///< quantile of the easiest row that is kept
  double high = 1;           ///< quantile of the hardest
  std::size_t at_least = 0;  ///< rows of every class

  /// Rows kept, ascending; both ends belong to the band. O(n log n). @throws value_error where the quantiles are not
  /// 0 <= low <= high <= 1 or a difficulty is NaN, shape_error where there is no row.
  template <detail::sized_memory V>
  std::vector<std::size_t> operator()(const V& difficulty) const {
    return (*this)(one_rank{}, difficulty);
  }
  /// The same with a class (or any stratum) for each row. The quantiles are those of all rows.
  template <detail::sized_memory V, detail::sized_memory Labels>
  std::vector<std::size_t> operator()(const V& difficulty, const Labels& labels) const {
    return (*this)(one_rank{}, difficulty, labels);
  }
  /// The same of the rows of all ranks, each with any number of its own; what is kept are rows of the whole, the same on every rank, as
  /// among() over ranks takes them. What travels is what quantile() sends, twice, and 8 bytes a row that is kept.
  template <communicator C, detail::sized_memory V>
  std::vector<std::size_t> operator()(const C& comm, const V& difficulty) const {
    const std::vector<unsigned char> one_class(static_cast<std::size_t>(difficulty.size()), 0);
    return (*this)(comm, difficulty, one_class);
  }
  /// The same with a class for each row.
  template <communicator C, detail::sized_memory V, detail::sized_memory Labels>
  std::vector<std::size_t> operator()(const C& comm, const V& difficulty, const Labels& labels) const {
    return keep(comm, detail::view_vector(difficulty), detail::view_vector(labels));
  }

 private:
  template <class C>
  std::vector<std::size_t> keep(const C& comm, const any_vector& x, const any_vector& labels) const {
    agree(comm, [&] {
      detail::check_fraction("low", low);
      detail::check_fraction("high", high);
      if (low > high)
        raise<value_error>("limbeck: low is " + detail::show(low) + ", expected at most high, " + detail::show(high));
      if (labels.size() != x.size()) detail::throw_length("labels", labels.size(), x.size());
    });
    detail::require_alike(comm, static_cast<double>(at_least), "at_least");
    const double from = detail::quantile(comm, x, low, {}), to = detail::quantile(comm, x, high, {});
    const shards of(comm, x.size());
    const auto classes = detail::rows_by_label(detail::with_labels_of_ranks(comm, detail::rows_of_each(labels)));
    std::vector<std::size_t> kept;
    std::vector<std::vector<detail::ranked_row>> outside(classes.size());
    std::vector<std::uint64_t> counts(2 * classes.size(), 0);  // of each class: inside, outside
    for (std::size_t k = 0; k < classes.size(); ++k) {
      for (const std::size_t r : classes[k]) {
        const double difficulty = x.number(r);
        if (difficulty >= from && difficulty <= to) {
          kept.push_back(of.first() + r);
        } else {
          outside[k].push_back({difficulty < from ? difficulty - from : to - difficulty, of.first() + r});
        }
      }
      counts[2 * k] = classes[k].size() - outside[k].size();
      counts[2 * k + 1] = outside[k].size();
    }
    all_reduce_sum(comm, std::span<std::uint64_t>(counts));
    for (std::size_t k = 0; k < classes.size(); ++k) {
      const auto inside = static_cast<std::size_t>(counts[2 * k]), others = static_cast<std::size_t>(counts[2 * k + 1]);
      const std::size_t missing = inside < at_least ? (std::min)(at_least - inside, others) : 0;
      if (missing == 0) continue;
      std::vector<detail::ranked_row>& own = outside[k];
      const auto end = own.begin() + static_cast<std::ptrdiff_t>((std::min)(missing, own.size()));
      std::partial_sort(own.begin(), end, own.end(), detail::ranks_before);
      own.erase(end, own.end());
      for (const auto& r : detail::best_of_ranks(comm, std::move(own), missing))
        if (of.owns(r.row)) kept.push_back(r.row);
    }
    std::sort(kept.begin(), kept.end());
    return all_gather_ragged(comm, std::span<const std::size_t>(kept)).values;
  }
};

LIMBECK_END_NAMESPACE

#endif
