#ifndef LIMBECK_TRAINER_LOOP_HPP
#define LIMBECK_TRAINER_LOOP_HPP

/// @file
/// The loop under every driver: epochs, batches, callbacks, checkpoints. What is one step is the learner's business:
/// `step(whole_batch, progress) -> mean loss`, `zero_gradients()`, `archive(archive)`, `describe()`, `require_storable()`.

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

template <class Learner, class Data, class... Callbacks>
class training_loop {
 public:
  training_loop(Learner& learner, Data& data, const fit_settings& settings, Callbacks&... callbacks)
      : learner_(learner), data_(data), settings_(settings), callbacks_(callbacks...), order_(data.size()) {
    const auto positive = [](const char* name, std::size_t x) {
      if (x == 0) raise<value_error>(std::string("limbeck: ") + name + " is 0, expected at least 1");
    };
    positive("epochs", settings.epochs);
    positive("batch", settings.batch);
#if !LIMBECK_DETAIL_EXCEPTIONS
    if (settings.skip_bad_steps > 0)
      raise<value_error>("limbeck: skip_bad_steps is " + std::to_string(settings.skip_bad_steps) +
                         ", but this program is built without exceptions, and nothing comes back from a bad step");
#endif
    if (order_.empty()) raise<shape_error>("limbeck: the data has no rows");
    rows_ = order_.size();
    steps_per_epoch_ = (rows_ - 1) / settings.batch + 1;
    if constexpr (is_drawn) steps_per_epoch_ = data.steps_an_epoch(settings.batch);
    run_.steps = settings.steps > 0 ? settings.steps : steps_per_epoch_ * settings.epochs;
    run_.epochs = (run_.steps - 1) / steps_per_epoch_ + 1;
  }

  training_result run() {
    std::optional<interruptible> stop;
    if (!settings_.checkpoint.empty()) {
      learner_.require_storable();
      composition_ = composition(length());
      stop.emplace();
      if (std::filesystem::exists(settings_.checkpoint)) {
        resume();
        run_.resumed_from = run_.step;
        if (finished_) return result();
      }
    }
    each([&](auto& c) {
      if constexpr (requires { c.begin(run_); }) c.begin(run_);
    });
    while (!finished_) {
      one_step();
      finished_ = run_.stop || run_.step == run_.steps;
      run_.interrupted = !finished_ && stop && stop->requested();
      if (run_.interrupted || (!finished_ && due())) save();
      if (run_.interrupted) break;
    }
    each([&](auto& c) {
      if constexpr (requires { c.end(run_); }) c.end(run_);
    });
    if (finished_) save();
    return result();
  }

  /// All that the run depends on.
  template <class Archive>
  void serialize(Archive& archive) {
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
    learner_.archive(archive);
    if constexpr (serializable<Data>) archive("data", data_);
    std::size_t i = 0;
    each([&](auto& c) {
      const std::string name = "callback/" + std::to_string(i++);
      if constexpr (serializable<std::remove_cvref_t<decltype(c)>>) archive(name, c);
    });
  }

 private:
  static constexpr bool is_drawn = requires(Data& d, const draw_request& r) { d.draw(r); };

  template <class F>
  void each(F&& f) {
    std::apply([&](auto&... c) { (f(c), ...); }, callbacks_);
  }
  /// The rows of a step: what the sampler says, else a part of an epoch's permutation, which is that of the seed and of the
  /// number of the epoch, so there is no state to lose.
  std::span<const std::size_t> draw() {
    if constexpr (is_drawn) {
      order_ = data_.draw({rows_, settings_.batch, run_.step, run_.now, random_stream(settings_.seed).split(run_.step),
                           random_stream(~settings_.seed)});
      return order_;
    } else {
      if (!drawn_) {
        std::iota(order_.begin(), order_.end(), std::size_t{0});
        random_stream(settings_.seed).split(run_.step / steps_per_epoch_).shuffle(order_);
        drawn_ = true;
      }
      const std::size_t first = static_cast<std::size_t>(run_.step % steps_per_epoch_) * settings_.batch;
      return std::span<const std::size_t>(order_).subspan(first, (std::min)(settings_.batch, rows_ - first));
    }
  }
  void one_step() {
    run_.now = progress(run_.step, run_.steps);
    const auto train = [&] {
      const std::span<const std::size_t> all = draw();
      const std::size_t part = settings_.micro_batch == 0 ? all.size() : (std::min)(settings_.micro_batch, all.size());
      whole_batch<batch_of<Data>> batch;
      batch.finite = settings_.skip_bad_steps > 0;
      for (std::size_t at = 0; at < all.size(); at += part) {
        const auto rows = all.subspan(at, (std::min)(part, all.size() - at));
        batch.parts.push_back({data_.batch(rows), source_rows(data_, rows)});
        batch.weight += count_rows<"logits">(batch.parts.back().batch, rows.size()).weight;
      }
      run_.loss = learner_.step(batch, run_.now);
      loss_sum_ += run_.loss * batch.weight;
      loss_weight_ += batch.weight;
    };
    const bool trained = unless_bad(train);
    run_.epoch_loss = loss_weight_ > 0 ? loss_sum_ / loss_weight_ : 0;
    run_.end_of_epoch = ++run_.step % steps_per_epoch_ == 0 || run_.step == run_.steps;
    if (run_.end_of_epoch) ++run_.epoch;
    run_.metrics.forget();  // what the last step measured is stale now
    if (trained) {
      each([&](auto& c) {
        if constexpr (requires { c.after_step(run_); }) c.after_step(run_);
      });
    }
    if (run_.end_of_epoch) {
      each([&](auto& c) {
        if constexpr (requires { c.after_epoch(run_); }) c.after_epoch(run_);
      });
    }
    for (const auto& [name, value] : run_.metrics.all())
      if (value == value) measured_.set(name, value);
    if (!run_.end_of_epoch) return;
    last_epoch_loss_ = run_.epoch_loss;
    loss_sum_ = loss_weight_ = 0;
    drawn_ = false;
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
          learner_.zero_gradients();
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
                              unit() + ", not of " + asked + "; with fit_settings::extend it goes on to these");
    if (!extended) file.require(composition_);
    file.load(*this);
    if (!extended) return;
    if (run_.step >= run_.steps)
      raise<value_error>(std::string("limbeck: ") + unit() + " is " + asked + ", but the run of checkpoint '" +
                         settings_.checkpoint.string() + "' has done " +
                         std::to_string(settings_.steps > 0 ? run_.step : run_.epoch) + " of " + stored);
    run_.epoch = run_.step / steps_per_epoch_;
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
  const char* unit() const { return settings_.steps > 0 ? "steps" : "epochs"; }
  std::string composition(const std::string& length) const {
    return line("rows", std::to_string(rows_)) + line(unit(), length) +
           line("batch", std::to_string(settings_.batch)) + line("seed", std::to_string(settings_.seed)) +
           type_line("data", data_) + learner_.describe();
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

  Learner& learner_;
  Data& data_;
  const fit_settings& settings_;
  std::tuple<Callbacks&...> callbacks_;
  std::vector<std::size_t> order_;
  std::size_t rows_ = 0, steps_per_epoch_ = 1;
  training_run run_;
  metric_list measured_;
  std::string composition_;  // as the run began
  std::uint64_t in_a_row_ = 0;  // bad steps, the last one among them
  double loss_sum_ = 0, loss_weight_ = 0, last_epoch_loss_ = 0;
  bool finished_ = false, drawn_ = false;
};

/// Runs the loop, once everything that the types say has been checked.
template <class Learner, class Data, class... Callbacks>
training_result run_training(Learner& learner, Data& data, const fit_settings& settings, Callbacks&... callbacks) {
  (require_callback<std::remove_cvref_t<Callbacks>>(), ...);
  if constexpr ((callback<std::remove_cvref_t<Callbacks>> && ...)) {
    return training_loop<Learner, Data, Callbacks...>(learner, data, settings, callbacks...).run();
  } else {
    return {};
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
