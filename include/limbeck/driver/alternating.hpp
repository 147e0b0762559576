#ifndef LIMBECK_DRIVER_ALTERNATING_HPP
#define LIMBECK_DRIVER_ALTERNATING_HPP

/// @file
/// Networks that are trained in turn: a generator and its critic, a student and the score of its samples, two that echo each other.
///
///     lk::alternating({.rounds = 10'000, .checkpoint = "run.ckpt"},
///                     lk::turn("generator", generator_trainer, noise, {.steps = 1}, lk::averaging(average, generator)),
///                     lk::turn("fake", fake_trainer, samples, {.steps = 5, .warm_up = 100}),
///                     lk::csv_metrics{"run.csv"}, lk::progress_bar{});

#include <limbeck/driver/turn.hpp>

#include <filesystem>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// How to alternate.
struct alternating_settings {
  std::size_t rounds = 1;  ///< in each, every turn takes its steps; at least 1
  std::uint64_t seed = 0;  ///< of all that is drawn, for each turn a seed of its own
  /// Where not empty: the run is saved here, goes on from here where the file is there, and Ctrl-C ends it between two steps, of whatever
  /// turn, with the file written.
  std::filesystem::path checkpoint{};
  bool extend = false;                    ///< whether a run whose checkpoint says other rounds goes on to these
  std::size_t checkpoint_every = 1000;    ///< steps of all turns between two saves; 0: at the end of each round
  std::size_t skip_bad_steps = 0;         ///< bad steps in a row that are skipped, as in `fit_settings`
  training_ranks ranks{};                 ///< as in `fit_settings`; each turn's student shows its gradients, and there is no hook
};

/// @cond
namespace detail {

/// What takes turns, as the training loop drives it: a step of the run is a step of one of them.
template <class... Callbacks>
class alternation final : public any_training {
 public:
  explicit alternation(const alternating_settings& settings, Callbacks&... callbacks) : settings_(settings), callbacks_(callbacks...) {}
  /// In the order of a round.
  void add(const std::string& name, const turn_settings& s, any_training& what) {
    if (name.empty() || name.find_first_of("/\n") != std::string::npos)
      raise<value_error>("limbeck: a turn's name is '" + name + "', expected one that is not empty, without '/' and line feeds");
    for (const player& p : players_)
      if (p.name == name) raise<value_error>("limbeck: two turns have the name " + name);
    require_positive(("steps of turn '" + name + "'").c_str(), s.steps);
    require_positive(("batch of turn '" + name + "'").c_str(), s.batch);
    warm_up_ += s.warm_up;
    a_round_ += s.steps;
    const std::uint64_t seed = random_stream(settings_.seed).split(players_.size())();
    players_.push_back({name, s, &what, numbered_steps(what, s.batch, seed)});
    sums_.push_back(0);
    counts_.push_back(0);
  }

 private:
  struct player {
    std::string name;
    turn_settings settings;
    any_training* what;
    numbered_steps steps;
  };
  struct place {
    std::size_t player;
    std::uint64_t step;  // of this player
  };
  /// Whose turn a step of the run is. The warm-ups come first, in the order of the turns.
  place whose(std::uint64_t step) const {
    std::size_t i = 0;
    if (step < warm_up_) {
      for (; step >= players_[i].settings.warm_up; ++i) step -= players_[i].settings.warm_up;
      return {i, step};
    }
    const std::uint64_t round = (step - warm_up_) / a_round_;
    for (step = (step - warm_up_) % a_round_; step >= players_[i].settings.steps; ++i) step -= players_[i].settings.steps;
    return {i, players_[i].settings.warm_up + round * players_[i].settings.steps + step};
  }

  std::size_t rows() const override { return 1; }
  std::size_t steps_an_epoch(std::size_t) const override { return a_round_; }
  std::size_t warm_up() const override { return warm_up_; }
  const char* epochs() const override { return "rounds"; }
  const char* settings() const override { return "alternating_settings"; }
  bool is_drawn() const override { return true; }
  std::vector<std::size_t> draw(const draw_request&) override { return {}; }
  outcome step(std::span<const std::size_t>, std::size_t, bool finite, const draw_request& request, const training_ranks& ranks) override {
    const place now = whose(request.step);
    player& p = players_[now.player];
    const outcome o = p.steps(now.step, request.now, p.settings.micro_batch, finite, ranks);
    sums_[now.player] += last_loss_ = o.loss;
    ++counts_[now.player];
    last_ = now.player;
    return o;
  }
  void zero_gradients() override {
    for (player& p : players_) p.what->zero_gradients();
  }
  void archive(any_archive& archive) override {
    archive("round/sums", std::span(sums_));
    archive("round/counts", std::span(counts_));
    for (player& p : players_) archive("turn/" + p.name, archived{p.what});
    std::size_t i = 0;
    each([&](auto& c) {
      const std::string name = "callback/" + std::to_string(i++);
      if constexpr (serializable<std::remove_cvref_t<decltype(c)>>) archive(name, c);
    });
  }
  struct archived {
    any_training* what;
    void serialize(any_archive& archive) const { what->archive(archive); }
  };
  std::string describe() const override {
    std::string text;
    for (const player& p : players_)
      text += line("turn " + p.name, std::to_string(p.settings.warm_up) + " steps, then " + std::to_string(p.settings.steps) +
                                         " a round, of " + std::to_string(p.settings.batch) + " rows") +
              line("rows of " + p.name, std::to_string(p.what->rows())) + p.what->describe();
    return text;
  }
  void require_storable() const override {
    for (const player& p : players_) p.what->require_storable();
  }
  std::string start() const override {
    std::string text;
    for (const player& p : players_) text += p.what->start();
    return text;
  }
  void require_summable(const training_ranks& ranks, std::size_t) const override {
    if (ranks.hook())
      raise<value_error>("limbeck: alternating over ranks sums each turn's gradients() itself, in their turn; it takes no hook");
    for (const player& p : players_) p.what->require_summable(ranks, p.settings.micro_batch);
  }
  void begin(training_run& run) override {
    for (player& p : players_) run.metrics.set(p.name + "/loss", std::numeric_limits<double>::quiet_NaN());
    for (player& p : players_) p.what->begin(run);
    each([&](auto& c) {
      if constexpr (requires { c.begin(run); }) agree(run.ranks, [&] { c.begin(run); });
    });
  }
  void after_step(training_run& run) override {
    run.metrics.set(players_[last_].name + "/loss", last_loss_);
    players_[last_].what->after_step(run);
    each([&](auto& c) {
      if constexpr (requires { c.after_step(run); }) c.after_step(run);
    });
  }
  void after_epoch(training_run& run) override {
    for (std::size_t i = 0; i < players_.size(); ++i) {
      if (counts_[i] > 0) run.metrics.set(players_[i].name + "/loss", sums_[i] / static_cast<double>(counts_[i]));
      sums_[i] = 0;
      counts_[i] = 0;
    }
    for (player& p : players_) p.what->after_epoch(run);
    each([&](auto& c) {
      if constexpr (requires { c.after_epoch(run); }) agree(run.ranks, [&] { c.after_epoch(run); });
    });
  }
  void end(training_run& run) override {
    for (player& p : players_) p.what->end(run);
    each([&](auto& c) {
      if constexpr (requires { c.end(run); }) agree(run.ranks, [&] { c.end(run); });
    });
  }
  template <class F>
  void each(const F& f) {
    std::apply([&](auto&... c) { (f(c), ...); }, callbacks_);
  }

  const alternating_settings& settings_;
  std::tuple<Callbacks&...> callbacks_;
  std::vector<player> players_;
  std::size_t warm_up_ = 0, a_round_ = 0, last_ = 0;
  double last_loss_ = 0;
  std::vector<double> sums_;           // of the losses of this round
  std::vector<std::uint64_t> counts_;  // of its steps
};

template <class... All>
constexpr std::size_t count_turns() {
  return (std::size_t{0} + ... + (is_turn<All> ? 1 : 0));
}
/// Whether the first @p N are turns.
template <std::size_t N, class... All>
constexpr bool turns_stand_first() {
  const bool are[] = {is_turn<All>..., false};
  for (std::size_t i = 0; i < N; ++i)
    if (!are[i]) return false;
  return true;
}

}  // namespace detail
/// @endcond

/// Trains networks in turn: first the warm-up of each `turn`, in their order, then rounds, in each of which every turn takes its steps,
/// in their order. `all` are two turns or more, made by `turn`, and then callbacks.
///
/// A step of the run is one step of one turn. It changes what that turn trains and nothing else; where a trainer's throws, nothing. An epoch, to
/// callbacks, is a round; the first one has the warm-ups too. `run.loss` is that of the step; the metric NAME/loss of each turn is its
/// loss after its step, and at the end of a round its mean over the round. (`epoch_loss` and the result's `loss` mix the turns.)
/// Schedules are read at the progress of the run. The callbacks at the end hear of every step, those of a turn of its own.
///
/// Stop-gradients: while a turn steps, all that the others train is held fixed; a turn sees what the others have come to.
///
/// With a checkpoint, a run stopped at any step, of whatever turn, and resumed is one that never stopped, bit for bit: step k of a turn
/// draws by the seed, the turn's place and k. The state is that of each turn (a trainer's student, what its objective learns, teacher and
/// optimiser where they have a serialize; what is named behind the settings of a step of yours) and of the callbacks. One network in two turns
/// is in the file twice, and the same.
///
/// @throws value_error where a setting is out of range or two turns have one name, shape_error where the data of a turn has no rows; and what `trainer::fit` throws.
///
/// One generator step in 1 + 5: Yin et al., Improved Distribution Matching Distillation for Fast Image Synthesis (DMD2), 2024,
/// arXiv:2405.14867, by the authors' code, whose generator steps where the step is a multiple of 5, before the fake score's. Four
/// steps of the fake score for one: Xu et al., One-step Diffusion Models with f-Divergence Distribution Matching, 2025, arXiv:2502.15681, by
/// the authors' code.
template <class... All>
training_result alternating(const alternating_settings& settings, All&&... all) {
  constexpr std::size_t turns = detail::count_turns<All...>();
  static_assert(turns >= 2, "limbeck: alternating needs two turns at least, each of them turn(name, ...)");
  static_assert(detail::turns_stand_first<turns, All...>(), "limbeck: alternating is given its turns first, and then the callbacks");
  if constexpr (turns >= 2 && detail::turns_stand_first<turns, All...>()) {
    return [&]<std::size_t... T, std::size_t... C>(std::index_sequence<T...>, std::index_sequence<C...>) {
      std::tuple<std::remove_reference_t<All>&...> given(all...);
      using types = std::tuple<std::remove_reference_t<All>...>;
      (detail::require_callback<std::remove_cvref_t<std::tuple_element_t<turns + C, types>>>(), ...);
      std::tuple<detail::bound_turn<std::remove_cv_t<std::tuple_element_t<T, types>>>...> bound(std::get<T>(given)...);
      detail::alternation<std::tuple_element_t<turns + C, types>...> what(settings, std::get<turns + C>(given)...);
      (what.add(std::get<T>(given).name, std::get<T>(given).settings, std::get<T>(bound).get()), ...);
      detail::require_positive("rounds", settings.rounds);
      const fit_settings fit{.epochs = settings.rounds,
                             .batch = 1,
                             .seed = settings.seed,
                             .checkpoint = settings.checkpoint,
                             .extend = settings.extend,
                             .checkpoint_every = settings.checkpoint_every,
                             .skip_bad_steps = settings.skip_bad_steps,
                             .ranks = settings.ranks};
      return detail::training_loop(what, fit).run();
    }
    (std::make_index_sequence<turns>(), std::make_index_sequence<sizeof...(All) - turns>());
  } else {
    return {};
  }
}

LIMBECK_END_NAMESPACE

#endif
