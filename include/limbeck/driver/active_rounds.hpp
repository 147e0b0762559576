#ifndef LIMBECK_DRIVER_ACTIVE_ROUNDS_HPP
#define LIMBECK_DRIVER_ACTIVE_ROUNDS_HPP

/// @file
/// Active learning: train, choose rows of a pool, have them labelled, train again.

#include <limbeck/core/random.hpp>
#include <limbeck/driver/rounds.hpp>
#include <limbeck/selection/query.hpp>
#include <limbeck/trainer/checkpoint.hpp>
#include <limbeck/trainer/interruptible.hpp>

#include <optional>

LIMBECK_BEGIN_NAMESPACE

/// How to run the rounds.
struct active_settings {
  std::size_t rounds = 1;  ///< trainings, at least 1; rows are chosen between two of them
  std::size_t budget = 1;  ///< rows chosen each time, or what is left of the pool
  /// Where not empty: the budget of each choice, in the place of `budget`; the last one goes on.
  std::vector<std::size_t> budgets{};
  std::uint64_t seed = 0;  ///< of the selector's random choices, a new one each time
  /// Where not empty: the state is saved here after each round, and the run goes on from here where the file is there.
  std::filesystem::path checkpoint{};
};

/// What `active_rounds` returns.
struct active_result {
  std::vector<std::size_t> labelled{};  ///< rows of the pool with a label, in the order in which they got it
  std::vector<int> labels{};            ///< of these rows; of an oracle of logits, their largest, the lowest among equals
  std::vector<float> logits{};          ///< of these rows, one after the other, where the oracle gives logits
  std::size_t classes = 0;              ///< columns of `logits`
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

/// Keeps what an oracle says of @p which: labels, or logits and their largest.
template <class Answer>
void keep_answer(active_result& result, std::span<const std::size_t> which, const Answer& answer) {
  if constexpr (tensor<Answer>) {
    const auto x = tensor_traits<Answer>::view(answer);
    if (x.samples != which.size()) throw_length("the oracle's answer", x.samples, which.size(), "one a row");
    if (result.classes != 0 && x.classes != result.classes)
      throw_shape("the oracle's answer", x.samples, x.classes, x.samples, result.classes);
    if (x.classes == 0) throw_shape("the oracle's answer", x.samples, 0, x.samples, 1);
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c)
        if (const double z = static_cast<double>(x(r, c)); z != z)
          raise<value_error>("limbeck: the oracle's answer is nan for row " + std::to_string(which[r]) + " of the pool, class " +
                             std::to_string(c));
    result.classes = x.classes;
    for (std::size_t r = 0; r < x.samples; ++r) {
      std::size_t best = 0;
      for (std::size_t c = 0; c < x.classes; ++c) {
        result.logits.push_back(static_cast<float>(x(r, c)));
        if (x(r, c) > x(r, best)) best = c;
      }
      result.labels.push_back(static_cast<int>(best));
    }
  } else {
    if (static_cast<std::size_t>(answer.size()) != which.size())
      throw_length("the oracle's answer", static_cast<std::size_t>(answer.size()), which.size(), "one a row");
    for (const auto y : answer) result.labels.push_back(static_cast<int>(y));
  }
  result.labelled.insert(result.labelled.end(), which.begin(), which.end());
}

}  // namespace detail

/// Rounds of active learning. In round r, beginning with the rows @p seed_rows:
///
/// 1. `train(rows, labels, r)` trains on the labelled rows (a `std::span<const std::size_t>` and a `std::span<const
/// int>`)
///    and returns what it measured: a `metric_list`, a number (the metric "score"), or nothing. Where the oracle gives
///    logits, it may also be `train(rows, labels, logits, r)`, with a `limbeck::rows<const float>` of the labelled rows x
///    classes: active *distillation*, from a teacher whose answers are bought;
/// 2. but for the last round: `pool()` gives the pool, a tensor or a reader, of what the selector reads (logits,
///    probabilities, features, by the model that has just been trained);
/// 3. `selector(pool, query)` chooses `budget` rows, or fewer (what is left; all that a `k_center::radius` wants), and
///    `oracle(rows)` gives their labels, a vector of int, or their logits, a tensor on the host: a teacher that is asked row
///    by row, whose answers are kept as float, and saved. Where it chooses none, or none is left, the run ends.
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
  for (const std::size_t b : settings.budgets) detail::require_positive("a budget of budgets", b);
  if (seed_rows.empty()) raise<value_error>("limbeck: there is no labelled row to begin with; choose some at random");
  std::vector<std::size_t> sorted = seed_rows;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    raise<value_error>("limbeck: seed_rows has row " + std::to_string(*twice) + " twice");

  active_result result;
  const auto ask_oracle = [&](const std::vector<std::size_t>& which) {
    const std::span<const std::size_t> asked(which);
    auto&& answer = oracle(asked);
    detail::keep_answer(result, asked, answer);
  };
  constexpr bool distils = tensor<std::remove_cvref_t<decltype(oracle(std::span<const std::size_t>()))>>;
  auto state = detail::rounds_state(result.rounds, [&](auto& archive) {
    archive("labelled", result.labelled);
    archive("labels", result.labels);
    archive("exhausted", result.exhausted);
    if constexpr (distils) {
      archive("logits", result.logits);
      archive("classes", result.classes);
    }
    detail::archive_parts(archive, train, pool, selector, oracle);
  });
  std::string budgets;
  for (const std::size_t b : settings.budgets) budgets += (budgets.empty() ? "" : " ") + std::to_string(b);
  if (budgets.empty()) budgets = std::to_string(settings.budget);
  std::string composition = "active rounds, budget " + budgets + ", seed " +
                            std::to_string(settings.seed) + ", first rows";
  for (const std::size_t r : seed_rows) composition += ' ' + std::to_string(r);

  if (!detail::resume_rounds(settings.checkpoint, state, composition)) ask_oracle(seed_rows);
  std::optional<interruptible> stop;
  if (!settings.checkpoint.empty()) stop.emplace();
  while (result.rounds.size() < settings.rounds && !result.exhausted) {
    const std::size_t round = result.rounds.size();
    metric_list metrics = detail::metrics_of([&]() -> decltype(auto) {
      const std::span<const std::size_t> rows(result.labelled);
      const std::span<const int> labels(result.labels);
      const limbeck::rows<const float> logits(result.logits.data(), result.labels.size(), result.classes);
      if constexpr (distils && requires { train(rows, labels, logits, round); }) {
        return train(rows, labels, logits, round);
      } else {
        return train(rows, labels, round);
      }
    });
    result.interrupted = stop && stop->requested();
    if (result.interrupted) return result;
    if (round + 1 < settings.rounds) {
      auto&& candidates = pool();
      const std::size_t rows = detail::size_of_pool(candidates);
      const std::size_t left = rows - (std::min)(rows, result.labelled.size());
      const std::size_t budget =
          settings.budgets.empty() ? settings.budget : settings.budgets[(std::min)(round, settings.budgets.size() - 1)];
      query asked{.budget = (std::min)(budget, left), .labelled = result.labelled};
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
