#ifndef LIMBECK_TRAINER_ACTIVE_ROUNDS_HPP
#define LIMBECK_TRAINER_ACTIVE_ROUNDS_HPP

/// @file
/// Active learning: train, choose rows of a pool, have them labelled, train again.

#include <limbeck/core/random.hpp>
#include <limbeck/trainer/checkpoint.hpp>
#include <limbeck/trainer/concepts.hpp>
#include <limbeck/trainer/interruptible.hpp>
#include <limbeck/trainer/rounds.hpp>

#include <optional>

LIMBECK_BEGIN_NAMESPACE

/// How to run the rounds.
struct active_settings {
  std::size_t rounds = 1;  ///< trainings, at least 1; rows are chosen between two of them
  std::size_t budget = 1;  ///< rows chosen each time, or what is left of the pool
  std::uint64_t seed = 0;  ///< of the selector's random choices, a new one each time
  /// Where not empty: the state is saved here after each round, and the run goes on from here where the file is there.
  std::filesystem::path checkpoint{};
};

/// What `active_rounds` returns.
struct active_result {
  std::vector<std::size_t> labelled{};  ///< rows of the pool with a label, in the order in which they got it
  std::vector<int> labels{};            ///< of these rows
  std::vector<metric_list> rounds{};    ///< what each training reported
  bool exhausted = false;               ///< the pool had no row left, or the selector wanted none: no round came after
  bool interrupted = false;             ///< by a signal: run it again to go on
};

namespace detail {

/// @throws value_error where the chosen rows are not what was asked for.
inline void check_chosen(const std::vector<std::size_t>& chosen, std::size_t budget, std::size_t pool_rows,
                         const std::vector<std::size_t>& labelled) {
  if (chosen.size() > budget)
    raise<value_error>("limbeck: the selector chose " + std::to_string(chosen.size()) + " rows, the budget is " +
                       std::to_string(budget));
  std::vector<unsigned char> taken(pool_rows, 0);
  for (const std::size_t r : labelled) taken[r] = 1;
  for (const std::size_t r : chosen) {
    if (r >= pool_rows)
      raise<value_error>("limbeck: the selector chose row " + std::to_string(r) + " of a pool of " +
                         std::to_string(pool_rows) + " rows");
    if (taken[r])
      raise<value_error>("limbeck: the selector chose row " + std::to_string(r) +
                         ", which is labelled or chosen already");
    taken[r] = 1;
  }
}

template <class Pool>
std::size_t rows_of_pool(const Pool& p) {
  const auto& reader = as_reader(p);
  return static_cast<std::size_t>(reader.size());
}

}  // namespace detail

/// Rounds of active learning. In round r, beginning with the rows @p seed_rows:
///
/// 1. `train(rows, labels, r)` trains on the labelled rows (a `std::span<const std::size_t>` and a `std::span<const
/// int>`)
///    and returns what it measured: a `metric_list`, a number (the metric "score"), or nothing;
/// 2. but for the last round: `pool()` gives the pool, a tensor or a reader, of what the selector reads (logits,
///    probabilities, features, by the model that has just been trained);
/// 3. `selector(pool, query)` chooses `budget` rows, or fewer (what is left; all that a `k_center::radius` wants), and
///    `oracle(rows)` gives their labels, a vector of int. Where it chooses none, or none is left, the run ends.
///
/// The state (rows, labels, metrics, and of each of the four callables what its `serialize` names) is saved after each
/// round, and a resumed run is one that never stopped, provided that `train` begins anew or has its model in its state.
/// A signal ends the run after the training that it meets, and that round is done again on resumption.
/// @throws value_error where a setting is 0, there is no seed row, a seed row comes twice, or the selector or the
/// oracle give what was not asked for; and checkpoint_error as `load_checkpoint`.
template <class Train, class Pool, class Selector, class Oracle>
active_result active_rounds(const active_settings& settings, std::vector<std::size_t> seed_rows, Train&& train,
                            Pool&& pool, Selector&& selector, Oracle&& oracle) {
  using P = std::remove_cvref_t<decltype(pool())>;
  detail::require_selector<std::remove_reference_t<Selector>, P>();
  detail::require_positive("rounds", settings.rounds);
  detail::require_positive("budget", settings.budget);
  if (seed_rows.empty()) raise<value_error>("limbeck: there is no labelled row to begin with; choose some at random");
  std::vector<std::size_t> sorted = seed_rows;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    raise<value_error>("limbeck: seed_rows has row " + std::to_string(*twice) + " twice");

  active_result result;
  const auto ask_oracle = [&](const std::vector<std::size_t>& which) {
    const auto answer = oracle(std::span<const std::size_t>(which));
    if (static_cast<std::size_t>(answer.size()) != which.size())
      detail::throw_length("the oracle's answer", static_cast<std::size_t>(answer.size()), which.size(), "one a row");
    result.labelled.insert(result.labelled.end(), which.begin(), which.end());
    for (const auto y : answer) result.labels.push_back(static_cast<int>(y));
  };
  auto state = detail::rounds_state(result.rounds, [&](auto& archive) {
    archive("labelled", result.labelled);
    archive("labels", result.labels);
    archive("exhausted", result.exhausted);
    detail::archive_parts(archive, train, pool, selector, oracle);
  });
  std::string composition = "active rounds, budget " + std::to_string(settings.budget) + ", seed " +
                            std::to_string(settings.seed) + ", first rows";
  for (const std::size_t r : seed_rows) composition += ' ' + std::to_string(r);

  if (!detail::resume_rounds(settings.checkpoint, state, composition)) ask_oracle(seed_rows);
  std::optional<interruptible> stop;
  if (!settings.checkpoint.empty()) stop.emplace();
  while (result.rounds.size() < settings.rounds && !result.exhausted) {
    const std::size_t round = result.rounds.size();
    metric_list metrics = detail::metrics_of([&]() -> decltype(auto) {
      return train(std::span<const std::size_t>(result.labelled), std::span<const int>(result.labels), round);
    });
    result.interrupted = stop && stop->requested();
    if (result.interrupted) return result;
    if (round + 1 < settings.rounds) {
      auto&& candidates = pool();
      const std::size_t rows = detail::rows_of_pool(candidates);
      const std::size_t left = rows - (std::min)(rows, result.labelled.size());
      query asked{.budget = (std::min)(settings.budget, left), .labelled = result.labelled};
      asked.seed = random_stream(settings.seed).split(round)();
      std::vector<std::size_t> chosen;
      if (left > 0) chosen = selector(candidates, asked);
      detail::check_chosen(chosen, asked.budget, rows, result.labelled);
      result.exhausted = chosen.empty();
      if (!chosen.empty()) ask_oracle(chosen);
    }
    result.rounds.push_back(std::move(metrics));
    if (!settings.checkpoint.empty()) save_checkpoint(settings.checkpoint, state, composition);
  }
  return result;
}

LIMBECK_END_NAMESPACE

#endif
