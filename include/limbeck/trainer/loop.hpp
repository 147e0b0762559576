#ifndef LIMBECK_TRAINER_LOOP_HPP
#define LIMBECK_TRAINER_LOOP_HPP

/// @file
/// The loop under every driver: epochs, steps, callbacks, checkpoints. It is no template: a program of many objectives
/// compiles it once. What is one step is the learner's business: `step(whole_batch, progress) -> mean loss`,
/// `zero_gradients()`, `archive(archive)`, `describe()`, `require_storable()`.

#include <limbeck/core/random.hpp>
#include <limbeck/trainer/checkpoint.hpp>
#include <limbeck/trainer/drawn.hpp>
#include <limbeck/trainer/fingerprint.hpp>
#include <limbeck/trainer/interruptible.hpp>

#include <numeric>
#include <optional>
#include <tuple>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// What the loop drives: a learner, its data and its callbacks, without their types.
class any_training {
 public:
  /// What a step came to.
  struct outcome {
    double loss, weight;
  };
  virtual std::size_t rows() const = 0;
  virtual std::size_t steps_an_epoch(std::size_t batch) const = 0;
  /// Steps before those of the first epoch, which has them too.
  virtual std::size_t warm_up() const { return 0; }
  /// What its epochs are called.
  virtual const char* epochs() const { return "epochs"; }
  /// Of what its settings are members.
  virtual const char* settings() const { return "fit_settings"; }
  virtual bool is_drawn() const = 0;
  virtual std::vector<std::size_t> draw(const draw_request& request) = 0;
  /// A step on these rows, @p part of them at once.
  virtual outcome step(std::span<const std::size_t> rows, std::size_t part, bool finite, const draw_request& request) = 0;
  virtual void zero_gradients() = 0;
  virtual void archive(any_archive& archive) = 0;
  virtual std::string describe() const = 0;
  virtual void require_storable() const = 0;
  virtual void begin(training_run& run) = 0;
  virtual void after_step(training_run& run) = 0;
  virtual void after_epoch(training_run& run) = 0;
  virtual void end(training_run& run) = 0;

 protected:
  ~any_training() = default;
};

template <class Learner, class Data, class... Callbacks>
class training final : public any_training {
 public:
  training(Learner& learner, Data& data, Callbacks&... callbacks)
      : learner_(learner), data_(data), callbacks_(callbacks...) {}

  std::size_t rows() const override { return static_cast<std::size_t>(data_.size()); }
  bool is_drawn() const override { return drawn; }
  std::size_t steps_an_epoch(std::size_t batch) const override {
    if constexpr (drawn) {
      return data_.steps_an_epoch(batch);
    } else {
      return (rows() - 1) / batch + 1;
    }
  }
  std::vector<std::size_t> draw([[maybe_unused]] const draw_request& request) override {
    if constexpr (drawn) {
      return data_.draw(request);
    } else {
      return {};
    }
  }
  outcome step(std::span<const std::size_t> all, std::size_t part, bool finite, const draw_request& request) override {
    if constexpr (requires { data_.prepare(all, request); }) data_.prepare(all, request);
    whole_batch<batch_of<Data>> batch;
    batch.finite = finite;
    for (std::size_t at = 0; at < all.size(); at += part) {
      const auto rows = all.subspan(at, (std::min)(part, all.size() - at));
      batch.parts.push_back({data_.batch(rows), source_rows(data_, rows)});
      batch.weight += count_rows<"logits">(batch.parts.back().batch, rows.size()).weight;
    }
    const double loss = learner_.step(batch, request.now);
    return {loss, batch.weight};
  }
  void zero_gradients() override { learner_.zero_gradients(); }
  void archive(any_archive& archive) override {
    learner_.archive(archive);
    if constexpr (serializable<Data>) archive("data", data_);
    std::size_t i = 0;
    each([&](auto& c) {
      const std::string name = "callback/" + std::to_string(i++);
      if constexpr (serializable<std::remove_cvref_t<decltype(c)>>) archive(name, c);
    });
  }
  std::string describe() const override { return type_line("data", data_) + learner_.describe(); }
  void require_storable() const override { learner_.require_storable(); }
  void begin(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.begin(run); }) c.begin(run);
    });
  }
  void after_step(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.after_step(run); }) c.after_step(run);
    });
  }
  void after_epoch(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.after_epoch(run); }) c.after_epoch(run);
    });
  }
  void end(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.end(run); }) c.end(run);
    });
  }

 private:
  static constexpr bool drawn = requires(Data& d, const draw_request& r) { d.draw(r); };
  template <class F>
  void each(F&& f) {
    std::apply([&](auto&... c) { (f(c), ...); }, callbacks_);
  }
  Learner& learner_;
  Data& data_;
  std::tuple<Callbacks&...> callbacks_;
};

/// The steps of a learner on its data, by their number: whatever came between, step k is the same.
class numbered_steps {
 public:
  numbered_steps(any_training& what, std::size_t batch, std::uint64_t seed) : what_(&what), batch_(batch), seed_(seed) {}
  /// Step @p number, @p micro_batch rows at once (0: all).
  any_training::outcome operator()(std::uint64_t number, progress now, std::size_t micro_batch, bool finite) {
    const draw_request request{what_->rows(), batch_, number, now, random_stream(seed_).split(number), random_stream(~seed_)};
    const std::span<const std::size_t> all = draw(request);
    const std::size_t part = micro_batch == 0 ? all.size() : (std::min)(micro_batch, all.size());
    return what_->step(all, part, finite, request);
  }

 private:
  /// The rows of a step: what the sampler says, else a part of an epoch's permutation, which is that of the seed and of the
  /// number of the epoch, so there is no state to lose.
  std::span<const std::size_t> draw(const draw_request& request) {
    if (what_->is_drawn()) {
      order_ = what_->draw(request);
      return order_;
    }
    const std::size_t an_epoch = what_->steps_an_epoch(batch_);
    if (const std::uint64_t epoch = request.step / an_epoch; order_.size() != request.rows || epoch != epoch_) {
      order_.resize(request.rows);
      std::iota(order_.begin(), order_.end(), std::size_t{0});
      random_stream(seed_).split(epoch).shuffle(order_);
      epoch_ = epoch;
    }
    const std::size_t first = static_cast<std::size_t>(request.step % an_epoch) * batch_;
    return std::span<const std::size_t>(order_).subspan(first, (std::min)(batch_, order_.size() - first));
  }

  any_training* what_;
  std::size_t batch_;
  std::uint64_t seed_, epoch_ = 0;
  std::vector<std::size_t> order_;
};

class training_loop {
 public:
  training_loop(any_training& what, const fit_settings& settings)
      : what_(what), settings_(settings), steps_(what, settings.batch, settings.seed), rows_(what.rows()) {
    require_positive(what.epochs(), settings.epochs);
    require_positive("batch", settings.batch);
#if !LIMBECK_DETAIL_EXCEPTIONS
    if (settings.skip_bad_steps > 0)
      raise<value_error>("limbeck: skip_bad_steps is " + std::to_string(settings.skip_bad_steps) +
                         ", but this program is built without exceptions, and nothing comes back from a bad step");
#endif
    if (rows_ == 0) raise<shape_error>("limbeck: the data has no rows");
    steps_per_epoch_ = what.steps_an_epoch(settings.batch);
    warm_up_ = what.warm_up();
    run_.steps = settings.steps > 0 ? settings.steps : warm_up_ + steps_per_epoch_ * settings.epochs;
    run_.epochs = epochs_before(run_.steps - 1) + 1;
  }

  training_result run() {
    std::optional<interruptible> stop;
    if (!settings_.checkpoint.empty()) {
      what_.require_storable();
      composition_ = composition(length());
      stop.emplace();
      if (std::filesystem::exists(settings_.checkpoint)) {
        resume();
        run_.resumed_from = run_.step;
        if (finished_) return result();
      }
    }
    what_.begin(run_);
    while (!finished_) {
      one_step();
      finished_ = run_.stop || run_.step == run_.steps;
      run_.interrupted = !finished_ && stop && stop->requested();
      if (run_.interrupted || (!finished_ && due())) save();
      if (run_.interrupted) break;
    }
    what_.end(run_);
    if (finished_) save();
    return result();
  }

  /// All that the run depends on.
  void serialize(any_archive& archive) {
    archive("run/step", run_.step);
    archive("run/epoch", run_.epoch);
    archive("run/skipped", run_.skipped);
    archive("run/skipped_in_a_row", in_a_row_);
    archive("run/loss", run_.loss);
    archive("run/epoch_loss", loss_sum_);
    archive("run/epoch_weight", loss_weight_);
    archive("run/last_epoch_loss", last_epoch_loss_);
    archive("run/finished", finished_);
    archive("run/metrics", measured_);
    what_.archive(archive);
  }

 private:
  /// Epochs that are over after so many steps.
  std::uint64_t epochs_before(std::uint64_t steps) const { return steps < warm_up_ ? 0 : (steps - warm_up_) / steps_per_epoch_; }
  void one_step() {
    run_.now = progress(run_.step, run_.steps);
    const auto train = [&] {
      const auto [loss, weight] = steps_(run_.step, run_.now, settings_.micro_batch, settings_.skip_bad_steps > 0);
      run_.loss = loss;
      loss_sum_ += loss * weight;
      loss_weight_ += weight;
    };
    const bool trained = unless_bad(train);
    run_.epoch_loss = loss_weight_ > 0 ? loss_sum_ / loss_weight_ : 0;
    ++run_.step;
    run_.end_of_epoch = run_.step == run_.steps || epochs_before(run_.step) > epochs_before(run_.step - 1);
    if (run_.end_of_epoch) ++run_.epoch;
    run_.metrics.forget();  // what the last step measured is stale now
    if (trained) what_.after_step(run_);
    if (run_.end_of_epoch) what_.after_epoch(run_);
    for (const auto& [name, value] : run_.metrics.all())
      if (value == value) measured_.set(name, value);
    if (!run_.end_of_epoch) return;
    last_epoch_loss_ = run_.epoch_loss;
    loss_sum_ = loss_weight_ = 0;
  }
  /// Runs a step; false where it was bad and is skipped.
  template <class Step>
  bool unless_bad(const Step& train) {
    if (settings_.skip_bad_steps == 0) {
      train();
      return true;
    }
    return detail::attempt<value_error>(
        [&] {
          train();
          in_a_row_ = 0;
          return true;
        },
        [&](const value_error&) {
          what_.zero_gradients();
          if (in_a_row_ == settings_.skip_bad_steps) detail::go_on();
          ++in_a_row_;
          ++run_.skipped;
          return false;
        });
  }
  void resume() {
    const checkpoint_file file(settings_.checkpoint);
    const std::string key = std::string("\n") + unit() + " = ", asked = length();
    std::string stored = asked;  // that of the file
    if (const std::size_t at = file.composition().find(key); at != std::string::npos) {
      const std::size_t from = at + key.size();
      stored = file.composition().substr(from, file.composition().find('\n', from) - from);
    }
    const bool extended = stored != asked && file.composition() == composition(stored);
    if (extended && !settings_.extend)
      raise<checkpoint_error>("limbeck: checkpoint '" + settings_.checkpoint.string() + "' is of a run of " + stored + ' ' +
                              unit() + ", not of " + asked + "; with " + what_.settings() + "::extend it goes on to these");
    if (!extended) file.require(composition_);
    file.load(*this);
    if (!extended) return;
    if (run_.step >= run_.steps)
      raise<value_error>(std::string("limbeck: ") + unit() + " is " + asked + ", but the run of checkpoint '" +
                         settings_.checkpoint.string() + "' has done " +
                         std::to_string(settings_.steps > 0 ? run_.step : run_.epoch) + " of " + stored);
    run_.epoch = epochs_before(run_.step);
    finished_ = false;
  }
  bool due() const {
    return settings_.checkpoint_every > 0 ? run_.step % settings_.checkpoint_every == 0 : run_.end_of_epoch;
  }
  void save() {
    if (!settings_.checkpoint.empty()) save_checkpoint(settings_.checkpoint, *this, composition_);
  }
  /// How long the run is, and in what.
  std::string length() const { return std::to_string(settings_.steps > 0 ? settings_.steps : settings_.epochs); }
  const char* unit() const { return settings_.steps > 0 ? "steps" : what_.epochs(); }
  std::string composition(const std::string& length) const {
    return line("rows", std::to_string(rows_)) + line(unit(), length) +
           line("batch", std::to_string(settings_.batch)) + line("seed", std::to_string(settings_.seed)) +
           what_.describe();
  }
  training_result result() const {
    return {.steps = run_.step,
            .epochs = run_.epoch,
            .skipped = run_.skipped,
            .loss = run_.epoch > 0 ? last_epoch_loss_ : run_.epoch_loss,
            .interrupted = run_.interrupted,
            .stopped = finished_ && run_.step < run_.steps,
            .metrics = measured_};
  }

  any_training& what_;
  const fit_settings& settings_;
  numbered_steps steps_;
  std::size_t rows_, steps_per_epoch_ = 1, warm_up_ = 0;
  training_run run_;
  metric_list measured_;
  std::string composition_;  // as the run began
  std::uint64_t in_a_row_ = 0;  // bad steps, the last one among them
  double loss_sum_ = 0, loss_weight_ = 0, last_epoch_loss_ = 0;
  bool finished_ = false;
};

/// Runs the loop, once everything that the types say has been checked.
template <class Learner, class Data, class... Callbacks>
training_result run_training(Learner& learner, Data& data, const fit_settings& settings, Callbacks&... callbacks) {
  (require_callback<std::remove_cvref_t<Callbacks>>(), ...);
  if constexpr ((callback<std::remove_cvref_t<Callbacks>> && ...)) {
    training<Learner, Data, Callbacks...> what(learner, data, callbacks...);
    return training_loop(what, settings).run();
  } else {
    return {};
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
