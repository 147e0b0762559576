#ifndef LIMBECK_SELECTION_ROBUST_ACTIVE_HPP
#define LIMBECK_SELECTION_ROBUST_ACTIVE_HPP

/// @file
/// Robust active distillation: which soft labels to ask for from a teacher that errs.

#include <limbeck/core/random.hpp>
#include <limbeck/selection/pool_rows.hpp>

#include <numeric>

LIMBECK_BEGIN_NAMESPACE

/// The learner's best play against an adversary: see robust_play().
struct minimax_play {
  std::vector<double> probabilities;  ///< one a row; they sum to 1
  double value = 0;                   ///< the gain that no adversary can push below
};

/// max over p of min over m wrong rows of sum_i p_i g_i [i is not wrong]: how often to ask for each row, where row i is
/// worth g_i >= 0 if the teacher is right, and the teacher is wrong on the m rows where that hurts most.
///
/// With g sorted, g_1 >= ... >= g_n: V_k = (k - m)/sum_{j<=k} 1/g_j, k* = argmax_k V_k, p_i = (1/g_i)/sum_{j<=k*} 1/g_j
/// for i <= k*, else 0; the value is V_k*. All supported rows have the same p_i g_i. (The adversary's best mixture
/// strikes row i <= k* with probability 1 - V/g_i, which proves both optimal.) m = 0 puts all on the largest gain.
///
/// The game is that of Baykal et al. 2023 (Robust Active Distillation, arXiv:2210.01213); the solution was derived
/// here, by duality, and not compared with the paper's text. O(n log n).
/// @param gains g, one a row
/// @param mistakes m: how many mistakes are expected, >= 0, below the number of rows with a gain above 0
/// @throws value_error where a gain is negative or not finite, or @p mistakes is out of range.
inline minimax_play robust_play(std::span<const double> gains, double mistakes) {
  std::vector<std::size_t> order(gains.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = 0; i < gains.size(); ++i)
    if (!(gains[i] >= 0 && std::isfinite(gains[i])))
      raise<value_error>("limbeck: the gain of row " + std::to_string(i) + " is " + detail::show(gains[i]) +
                         ", expected a finite number >= 0");
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return gains[i] > gains[j]; });
  while (!order.empty() && !(gains[order.back()] > 0)) order.pop_back();
  if (!(mistakes >= 0 && mistakes < static_cast<double>(order.size())))
    raise<value_error>("limbeck: mistakes is " + detail::show(mistakes) + ", expected a number >= 0 below " +
                       std::to_string(order.size()) + ", the number of rows with a gain above 0");
  minimax_play play{std::vector<double>(gains.size()), 0};
  double total = 0, sum_at_best = 1;
  std::size_t best = 0;
  const double largest = gains[order[0]];  // in units of which 1/g does not overflow needlessly
  for (std::size_t k = 0; k < order.size(); ++k) {
    total += largest / gains[order[k]];
    const double value = (static_cast<double>(k + 1) - mistakes) / total * largest;
    if (value > play.value) play.value = value, best = k + 1, sum_at_best = total;
  }
  for (std::size_t k = 0; k < best; ++k) play.probabilities[order[k]] = largest / gains[order[k]] / sum_at_best;
  return play;
}

/// Asks for `budget` different rows by the probabilities of robust_play() among the rows that are not labelled. The
/// pool has one column, the gain of each row: the student's uncertainty, such as 1 - margin.
///
/// Row i is asked for with probability min(1, c p_i), c such that they add up to the budget, by systematic sampling
/// (Madow 1949, doi:10.1214/aoms/1177730032) with one draw from `query::seed`; rows come in their order in the pool.
/// Where the play has no more rows than the budget all are asked for, and what is left of the budget plays among the
/// rows that are left; once the mistakes outnumber those, the largest gains go first. (How a budget is spent is ours,
/// not the paper's.)
struct robust_active {
  double mistakes = 0;  ///< m, see robust_play()

  /// The rows chosen, budget many. @throws shape_error, value_error: see query and robust_play(); a pool of more
  /// columns.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    const auto& reader = as_reader(pool);
    const auto n = static_cast<std::size_t>(reader.size());
    const auto taken = check_query(q, n);
    if (reader.columns() != 1) detail::throw_shape("the pool", n, reader.columns(), n, 1);
    std::vector<double> gains(n);
    for_each_row(reader, [&](std::size_t r, auto x) { gains[r] = static_cast<double>(x[0]); });
    robust_play(gains, mistakes);  // what is wrong is named by its row in the pool
    for (std::size_t r = 0; r < n; ++r)
      if (taken[r]) gains[r] = 0;
    random_stream random(q.seed);
    std::vector<unsigned char> used = taken;
    std::vector<std::size_t> chosen;
    const auto choose = [&](std::size_t r) {
      chosen.push_back(r);
      used[r] = 1;
      gains[r] = 0;
    };
    while (chosen.size() < q.budget) {
      const std::size_t left = q.budget - chosen.size();
      const auto worthy =
          static_cast<double>(std::count_if(gains.begin(), gains.end(), [](double g) { return g > 0; }));
      if (!(mistakes < worthy)) {
        std::size_t best = n;
        for (std::size_t r = 0; r < n; ++r)
          if (!used[r] && (best == n || gains[r] > gains[best])) best = r;
        choose(best);
        continue;
      }
      const std::vector<double> shares = inclusion(robust_play(gains, mistakes).probabilities, left);
      std::size_t open = left;  // what the draw decides: the rest is certain
      for (const double share : shares) open -= share == 1;
      double reached = 0, next = random.uniform();
      std::size_t last = n;
      for (std::size_t r = 0; r < n; ++r) {
        if (shares[r] == 1) choose(r);
        if (!(shares[r] > 0 && shares[r] < 1)) continue;
        reached += shares[r];
        if (open > 0 && reached > next) {
          choose(r);
          next += 1;
          --open;
        } else {
          last = r;
        }
      }
      if (last < n && open > 0) choose(last);  // the shares add up to less than they should, by rounding
    }
    return chosen;
  }

 private:
  /// min(1, c p) with sum = count; 1 where p > 0 if those are no more than count.
  static std::vector<double> inclusion(std::vector<double> p, std::size_t count) {
    const auto size = static_cast<std::size_t>(std::count_if(p.begin(), p.end(), [](double x) { return x > 0; }));
    std::size_t certain = 0;
    for (bool more = true; more;) {
      more = false;
      double total = 0;
      for (const double x : p) total += x < 1 ? x : 0;
      const double factor = total > 0 ? static_cast<double>(count - certain) / total : 1;
      for (double& x : p)
        if (x > 0 && x < 1 && (size <= count || x * factor >= 1)) x = 1, ++certain, more = true;
      if (more) continue;
      for (double& x : p)
        if (x < 1) x *= factor;
    }
    return p;
  }
};

LIMBECK_END_NAMESPACE

#endif
