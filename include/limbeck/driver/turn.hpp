#ifndef LIMBECK_DRIVER_TURN_HPP
#define LIMBECK_DRIVER_TURN_HPP

/// @file
/// One of the networks that `alternating` trains in turn: a trainer on its data, or a step of yours.

#include <limbeck/trainer/loop.hpp>
#include <limbeck/trainer/model_archive.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// How a turn is taken.
struct turn_settings {
  std::size_t steps = 1;        ///< in each round, at least 1
  std::size_t warm_up = 0;      ///< before the first round
  std::size_t batch = 32;       ///< rows a step, at least 1
  std::size_t micro_batch = 0;  ///< rows of a trainer's step at once; 0: the whole batch
};

/// @cond
namespace detail {

/// A turn of a trainer.
template <class Trainer, class Data, class... Callbacks>
struct trained_turn {
  using limbeck_turn = void;
  std::string name;
  Trainer trainer;
  Data data;
  turn_settings settings;
  std::tuple<Callbacks...> callbacks;
};
/// A turn of a callable.
template <class Step, class... Kept>
struct called_turn {
  using limbeck_turn = void;
  std::string name;
  Step step;
  turn_settings settings;
  std::tuple<Kept...> kept;
};
template <class T>
concept is_turn = requires { typename std::remove_cvref_t<T>::limbeck_turn; };

/// A turn where it is taken: a learner, its data and its callbacks, which refer to the turn.
template <class Turn>
class bound_turn;
template <class Trainer, class Data, class... Callbacks>
class bound_turn<trained_turn<Trainer, Data, Callbacks...>> {
  using turn_type = trained_turn<Trainer, Data, Callbacks...>;
  using source = std::remove_reference_t<Data>;
  using learner = decltype(std::declval<std::remove_reference_t<Trainer>&>().template learner_on<source>());

 public:
  explicit bound_turn(turn_type& t)
      : learner_(t.trainer.template learner_on<source>()),
        training_(std::apply([&](auto&... c) { return type(learner_, t.data, c...); }, t.callbacks)) {
    if (training_rows(training_) == 0) raise<shape_error>("limbeck: the data of turn '" + t.name + "' has no rows");
  }
  bound_turn(const bound_turn&) = delete;
  bound_turn& operator=(const bound_turn&) = delete;
  any_training& get() { return training_; }

 private:
  using type = training<learner, source, std::remove_reference_t<Callbacks>...>;
  static std::size_t training_rows(const any_training& t) { return t.rows(); }
  learner learner_;
  type training_;
};
template <class Step, class... Kept>
class bound_turn<called_turn<Step, Kept...>> final : public any_training {
 public:
  explicit bound_turn(called_turn<Step, Kept...>& t) : of_(t) {}
  bound_turn(const bound_turn&) = delete;
  bound_turn& operator=(const bound_turn&) = delete;
  any_training& get() { return *this; }

 private:
  using step_type = std::remove_reference_t<Step>;
  std::size_t rows() const override { return 0; }
  std::size_t steps_an_epoch(std::size_t) const override { return 1; }
  bool is_drawn() const override { return true; }
  std::vector<std::size_t> draw(const draw_request&) override { return {}; }
  outcome step(std::span<const std::size_t>, std::size_t, bool finite, const draw_request& request, const training_ranks& ranks) override {
    double loss = 0;
    agree_on_sum(ranks.comm(), {&loss, 1}, [&] {
      loss = static_cast<double>(of_.step(request));
      if (finite) require_finite(loss);
    });
    loss /= ranks.size();
    return {loss, static_cast<double>(request.batch)};
  }
  void zero_gradients() override {}
  void archive(any_archive& archive) override {
    if constexpr (serializable<step_type>) archive("step", of_.step);
    std::size_t i = 0;
    each([&](auto& k) { archive_model(archive, ("kept/" + std::to_string(i++)).c_str(), k); });
  }
  std::string describe() const override { return type_line("step", of_.step); }
  void require_storable() const override {
    if constexpr (!serializable<step_type> && !((serializable<std::remove_reference_t<Kept>> || parametrised<std::remove_reference_t<Kept>>) || ...))
      raise<value_error>("limbeck: a checkpoint is asked for, but turn '" + of_.name +
                         "' has nothing to save: name its models and optimisers behind its settings");
  }
  void begin(training_run& run) override {
    each([&](auto& k) {
      if constexpr (requires { k.begin(run); }) agree(run.ranks, [&] { k.begin(run); });
    });
  }
  void after_step(training_run& run) override {
    each([&](auto& k) {
      if constexpr (requires { k.after_step(run); }) k.after_step(run);
    });
  }
  void after_epoch(training_run& run) override {
    each([&](auto& k) {
      if constexpr (requires { k.after_epoch(run); }) agree(run.ranks, [&] { k.after_epoch(run); });
    });
  }
  void end(training_run& run) override {
    each([&](auto& k) {
      if constexpr (requires { k.end(run); }) agree(run.ranks, [&] { k.end(run); });
    });
  }
  template <class F>
  void each(const F& f) {
    std::apply([&](auto&... k) { (f(k), ...); }, of_.kept);
  }

  called_turn<Step, Kept...>& of_;
};

}  // namespace detail
/// @endcond

/// A turn in which @p trainer takes steps on @p data: its student, teacher, objective and optimiser, with masks, weights and micro-batches
/// as in its `fit`. What is passed as an lvalue is referred to, what as an rvalue is owned.
/// @param trainer a `trainer`
/// @param data as in its `fit`
/// @param settings its settings
/// @param name of its metrics and in its checkpoint
/// @param callbacks hear of its own steps only, and of the end of each round: `averaging(averager, generator)` is the generator's
template <class Trainer, class Data, class... Callbacks>
auto turn(std::string name, Trainer&& trainer, Data&& data, turn_settings settings = {}, Callbacks&&... callbacks) {
  using source = std::remove_reference_t<Data>;
  constexpr bool trains = requires { std::remove_reference_t<Trainer>::template fits<source>(); };
  static_assert(trains, "limbeck: this turn's trainer is no lk::trainer; a step of your own is turn(name, step, settings)");
  (detail::require_callback<std::remove_cvref_t<Callbacks>>(), ...);
  if constexpr (trains) {
    if constexpr (std::remove_reference_t<Trainer>::template fits<source>())
      return detail::trained_turn<Trainer, Data, Callbacks...>{
          std::move(name), std::forward<Trainer>(trainer), std::forward<Data>(data), settings, {std::forward<Callbacks>(callbacks)...}};
  }
}

/// A turn of your own: `step(request)`, of a `const draw_request&`, does one step and gives its loss, a number. The request has the number
/// of the turn's own step, the rows wanted, the progress of the run, and random numbers of this step alone, so that a run that is resumed
/// draws the same. An lvalue is referred to. A step that throws is one that has changed nothing yet, which is its own affair; with
/// `skip_bad_steps`, whose check of the loss comes after the step, it must look at its loss before it moves anything. Over ranks it is
/// called on each, and shares its rows and sums its gradients itself, after it has agreed (`agree`) that no rank has thrown; the loss is
/// the mean of theirs.
/// @param step the callable
/// @param settings its settings
/// @param name of its metrics and in its checkpoint
/// @param kept what a checkpoint saves of it, each with `serialize` or `parameters()`: models, optimisers, averages; and callbacks, as above
template <class Step, class... Kept>
auto turn(std::string name, Step&& step, turn_settings settings = {}, Kept&&... kept) {
  constexpr bool steps = requires(std::remove_reference_t<Step>& s, const draw_request& r) {
    { s(r) } -> std::convertible_to<double>;
  };
  static_assert(steps, "limbeck: a turn's step is called with a const draw_request& and returns its loss, a number");
  constexpr bool known = ((serializable<std::remove_reference_t<Kept>> || parametrised<std::remove_reference_t<Kept>> ||
                           callback<std::remove_cvref_t<Kept>>)&&...);
  static_assert(known, "limbeck: behind its settings a turn has what is saved, with serialize(archive) or parameters(), and callbacks");
  if constexpr (steps && known)
    return detail::called_turn<Step, Kept...>{std::move(name), std::forward<Step>(step), settings, {std::forward<Kept>(kept)...}};
}

LIMBECK_END_NAMESPACE

#endif
