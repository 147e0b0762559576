#ifndef LIMBECK_TRAINER_LOOP_HPP
#define LIMBECK_TRAINER_LOOP_HPP

/// @file
/// The loop under every driver: epochs, steps, callbacks, checkpoints. It is no template: a program of many objectives
/// compiles it once. What is one step is the learner's business: `step(whole_batch, progress) -> mean loss`,
/// `zero_gradients()`, `archive(archive)`, `describe()`, `require_storable()`; over ranks `gives`, the outputs whose weights are summed,
/// `start()` and `require_summable(ranks, micro_batch)`, and
/// `joins`, whether each rank calls it with one part a step, of whatever rows.

#include <limbeck/core/random.hpp>
#include <limbeck/trainer/checkpoint.hpp>
#include <limbeck/trainer/drawn.hpp>
#include <limbeck/trainer/fingerprint.hpp>
#include <limbeck/trainer/interruptible.hpp>

#include <array>
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
  /// A step on these rows, @p micro_batch of them at once (0: all); those of all ranks.
  virtual outcome step(std::span<const std::size_t> rows, std::size_t micro_batch, bool finite, const draw_request& request,
                       const training_ranks& ranks) = 0;
  virtual void zero_gradients() = 0;
  virtual void archive(any_archive& archive) = 0;
  virtual std::string describe() const = 0;
  virtual void require_storable() const = 0;
  /// What is the same on all ranks as a run begins, beside its composition.
  virtual std::string start() const { return ""; }
  /// @throws value_error where it cannot be trained over these, in such parts.
  virtual void require_summable(const training_ranks&, std::size_t micro_batch) const { (void)micro_batch; }
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
  outcome step(std::span<const std::size_t> all, std::size_t micro_batch, bool finite, const draw_request& request,
               const training_ranks& ranks) override {
    whole_batch<batch_of<Data>> batch{ranks, finite};
    std::array<double, Learner::gives::count + 1> counted{};  // the weights of the outputs, and whose rows they are
    agree_on_sum(ranks.comm(), counted, [&] {
      const own_rows own(data_, all, ranks.comm());
      draw_request mine = request;
      mine.first = own.first;
      if constexpr (requires { data_.prepare(all, mine); })
        if (!own.rows.empty()) data_.prepare(own.rows, mine);
      const std::size_t part = micro_batch == 0 ? own.rows.size() : micro_batch;
      for (std::size_t at = 0; at < own.rows.size(); at += part) {
        const auto rows = own.rows.subspan(at, (std::min)(part, own.rows.size() - at));
        batch.parts.push_back({data_.batch(rows), source_rows(data_, rows)});
      }
      if (Learner::joins && batch.parts.empty()) batch.parts.push_back({data_.batch(own.rows), source_rows(data_, own.rows)});
      Learner::gives::weigh_all(batch);
      std::copy(batch.weights.begin(), batch.weights.end(), counted.begin());
      counted.back() = static_cast<double>(own.rows.size());
    });
    if (counted.back() != static_cast<double>(all.size()))
      raise<value_error>("limbeck: a step has " + std::to_string(all.size()) + " rows, of which the ranks own " + show(counted.back()) +
                         "; each row is owned by one rank");
    batch.weights.assign(counted.begin(), counted.end() - 1);
    const double loss = learner_.step(batch, request.now);
    return {loss, counted.front()};
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
  std::string start() const override { return learner_.start(); }
  void require_summable(const training_ranks& ranks, std::size_t micro_batch) const override {
    learner_.require_summable(ranks, micro_batch);
  }
  void begin(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.begin(run); }) agree(run.ranks, [&] { c.begin(run); });
    });
  }
  void after_step(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.after_step(run); }) c.after_step(run);
    });
  }
  void after_epoch(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.after_epoch(run); }) agree(run.ranks, [&] { c.after_epoch(run); });
    });
  }
  void end(training_run& run) override {
    each([&](auto& c) {
      if constexpr (requires { c.end(run); }) agree(run.ranks, [&] { c.end(run); });
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
  any_training::outcome operator()(std::uint64_t number, progress now, std::size_t micro_batch, bool finite, const training_ranks& ranks) {
    const draw_request request{what_->rows(), batch_, number, now, random_stream(seed_).split(number), random_stream(~seed_)};
    const std::span<const std::size_t> all = draw(request, ranks.comm());
    return what_->step(all, micro_batch, finite, request, ranks);
  }

 private:
  /// The rows of a step: what the sampler says, else a part of an epoch's permutation, which is that of the seed and of the
  /// number of the epoch, so there is no state to lose.
  std::span<const std::size_t> draw(const draw_request& request, const communicator_ref& comm) {
    if (what_->is_drawn()) {
      // a sampler that looks at something of its rank alone would have rows trained twice, and others not at all: of numbers that are
      // not all the same, n times the sum of the squares is not the square of the sum
      std::array<double, 2> alike{};
      agree_on_sum(comm, alike, [&] {
        order_ = what_->draw(request);
        const double digest =
            static_cast<double>(fnv1a({reinterpret_cast<const char*>(order_.data()), order_.size() * sizeof(std::size_t)}) % 65521);
        alike = {digest, digest * digest};
      });
      if (comm.size() * alike[1] != alike[0] * alike[0])
        raise<std::runtime_error>("limbeck: at step " + std::to_string(request.step) +
                                  " the ranks drew different rows; a sampler draws from its request, and from what is the same on all");
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
      : what_(what), settings_(settings), steps_(what, settings.batch, settings.seed), rows_(what.rows()), comm_(settings.ranks.comm()) {
    agree(comm_, [&] { check(); });
    run_.ranks = comm_;
    ranks_ = settings.ranks;
    if (settings.ranks.hook())
      ranks_ = {comm_, [this] {
                  in_hook_ = true;
                  settings_.ranks.hook()();
                  in_hook_ = false;
                }};
  }

  training_result run() {
    agree_on_run();
    if (!settings_.checkpoint.empty()) {
      stop_.emplace();
      std::uint64_t there = agree(comm_, [&] { return std::uint64_t{std::filesystem::exists(settings_.checkpoint)}; });
      broadcast(comm_, std::span(&there, 1), 0);
      if (there) {
        resume();
        run_.resumed_from = run_.step;
        if (finished_) return result();
      }
    }
    what_.begin(run_);
    while (!finished_) {
      one_step();
      if (run_.interrupted || (!finished_ && due())) save();
      if (run_.interrupted) break;
    }
    what_.end(run_);
    if (finished_) save();
    return result();
  }

  /// All that the run depends on.
  void serialize(any_archive& archive) {
    if (comm_.size() > 1) archive("run/saves", saves_);
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
  void check() {
    require_positive(what_.epochs(), settings_.epochs);
    require_positive("batch", settings_.batch);
#if !LIMBECK_DETAIL_EXCEPTIONS
    if (settings_.skip_bad_steps > 0)
      raise<value_error>("limbeck: skip_bad_steps is " + std::to_string(settings_.skip_bad_steps) +
                         ", but this program is built without exceptions, and nothing comes back from a bad step");
#endif
    if (rows_ == 0) raise<shape_error>("limbeck: the data has no rows");
    what_.require_summable(settings_.ranks, settings_.micro_batch);
    steps_per_epoch_ = what_.steps_an_epoch(settings_.batch);
    warm_up_ = what_.warm_up();
    run_.steps = settings_.steps > 0 ? settings_.steps : warm_up_ + steps_per_epoch_ * settings_.epochs;
    run_.epochs = epochs_before(run_.steps - 1) + 1;
    if (settings_.checkpoint.empty()) return;
    what_.require_storable();
    composition_ = composition(length());
  }
  /// All ranks train one run, from one start.
  void agree_on_run() {
    if (comm_.size() == 1) return;
    const std::string mine = composition(length()) + line("micro_batch", std::to_string(settings_.micro_batch)) +
                             line("skip_bad_steps", std::to_string(settings_.skip_bad_steps)) +
                             line("checkpoint", settings_.checkpoint.empty() ? "none" : "a file") +
                             line("checkpoint_every", std::to_string(settings_.checkpoint_every)) + what_.start();
    std::string first = mine;
    broadcast(comm_, first, 0);
    agree(comm_, [&] {
      if (mine != first)
        raise<value_error>("limbeck: this run is not that of rank 0: it is of" + lines_without(mine, first) + "\nand not of" +
                           lines_without(first, mine));
    });
  }
  /// Epochs that are over after so many steps.
  std::uint64_t epochs_before(std::uint64_t steps) const { return steps < warm_up_ ? 0 : (steps - warm_up_) / steps_per_epoch_; }
  void one_step() {
    run_.now = progress(run_.step, run_.steps);
    const auto train = [&] {
      const auto [loss, weight] = steps_(run_.step, run_.now, settings_.micro_batch, settings_.skip_bad_steps > 0, ranks_);
      run_.loss = loss;
      loss_sum_ += loss * weight;
      loss_weight_ += weight;
    };
    agree_on_end([&] {
      const bool trained = unless_bad(train);
      run_.epoch_loss = loss_weight_ > 0 ? loss_sum_ / loss_weight_ : 0;
      ++run_.step;
      run_.end_of_epoch = run_.step == run_.steps || epochs_before(run_.step) > epochs_before(run_.step - 1);
      if (run_.end_of_epoch) ++run_.epoch;
      run_.metrics.forget();  // what the last step measured is stale now
      if (trained) what_.after_step(run_);
    });
    if (run_.end_of_epoch) agree_on_end([&] { what_.after_epoch(run_); });
    for (const auto& [name, value] : run_.metrics.all())
      if (value == value) measured_.set(name, value);
    if (!run_.end_of_epoch) return;
    last_epoch_loss_ = run_.epoch_loss;
    loss_sum_ = loss_weight_ = 0;
  }
  /// f(), and whether the run ends: where a rank stops it, or is told to, all do, at this step. What a hook throws is not told: others may
  /// be waiting in theirs, for this rank.
  template <class F>
  void agree_on_end(const F& f) {
    std::array<double, 3> ends{};
    const auto tell = [&](const auto& fault) {
      agree_on_sum(comm_, ends, [&] {
        fault();
        ends = {run_.stop ? 1.0 : 0.0, stop_ && stop_->requested() ? 1.0 : 0.0, static_cast<double>(run_.skipped)};
      });
    };
    bool done = false;
    or_else(
        [&] {
          f();
          done = true;
        },
        [&] {
          if (in_hook_) go_on();
          tell([] { go_on(); });
        });
    if (done) tell([] {});
    if (ends[2] != static_cast<double>(run_.skipped) * comm_.size())
      raise<value_error>("limbeck: an optimiser refused step " + std::to_string(run_.step) + " on some ranks only, which no longer agree");
    run_.stop = ends[0] > 0;
    finished_ = run_.stop || run_.step == run_.steps;
    run_.interrupted = !finished_ && ends[1] > 0;
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
          if (in_hook_) go_on();
          what_.zero_gradients();
          if (in_a_row_ == settings_.skip_bad_steps) detail::go_on();
          ++in_a_row_;
          ++run_.skipped;
          return false;
        });
  }
  /// Each rank reads its part; the first one's file says which parts are the whole.
  void resume() {
    agree(comm_, [&] {
      if (comm_.rank() == 0) resume_from(settings_.checkpoint);
    });
    std::uint64_t of_first[] = {saves_, run_.step};
    broadcast(comm_, std::span<std::uint64_t>(of_first), 0);
    agree(comm_, [&] {
      if (comm_.rank() == 0) return;
      resume_from(part_of(of_first[0]));
      if (saves_ != of_first[0] || run_.step != of_first[1])
        raise<checkpoint_error>("limbeck: checkpoint '" + part_of(of_first[0]).string() + "' is of step " + std::to_string(run_.step) +
                                ", that of rank 0 of step " + std::to_string(of_first[1]));
    });
  }
  void resume_from(const std::filesystem::path& path) {
    const checkpoint_file file(path);
    const std::string key = std::string("\n") + unit() + " = ", asked = length();
    std::string stored = asked;  // that of the file
    if (const std::size_t at = file.composition().find(key); at != std::string::npos) {
      const std::size_t from = at + key.size();
      stored = file.composition().substr(from, file.composition().find('\n', from) - from);
    }
    const bool extended = stored != asked && file.composition() == composition(stored);
    if (extended && !settings_.extend)
      raise<checkpoint_error>("limbeck: checkpoint '" + path.string() + "' is of a run of " + stored + ' ' +
                              unit() + ", not of " + asked + "; with " + what_.settings() + "::extend it goes on to these");
    if (!extended) file.require(composition_);
    file.load(*this);
    if (!extended) return;
    if (run_.step >= run_.steps)
      raise<value_error>(std::string("limbeck: ") + unit() + " is " + asked + ", but the run of checkpoint '" +
                         path.string() + "' has done " +
                         std::to_string(settings_.steps > 0 ? run_.step : run_.epoch) + " of " + stored);
    run_.epoch = epochs_before(run_.step);
    finished_ = false;
  }
  bool due() const {
    return settings_.checkpoint_every > 0 ? run_.step % settings_.checkpoint_every == 0 : run_.end_of_epoch;
  }
  /// Where rank 0's file is there, so are all parts, which reach the disk before it, and do not take the place of those of the save before.
  void save() {
    if (settings_.checkpoint.empty()) return;
    ++saves_;
    agree(comm_, [&] {
      if (comm_.rank() != 0) save_checkpoint(part_of(saves_), *this, composition_);
    });
    agree(comm_, [&] {
      if (comm_.rank() == 0) save_checkpoint(settings_.checkpoint, *this, composition_);
    });
    std::error_code gone_already;
    if (comm_.rank() != 0) std::filesystem::remove(part_of(saves_ - 1), gone_already);
  }
  /// The file of this rank's part of a save: `run.ckpt.1-of-3.0`, and `.1` for the next one.
  std::filesystem::path part_of(std::uint64_t save) const {
    std::filesystem::path path = settings_.checkpoint;
    path += '.' + std::to_string(comm_.rank()) + "-of-" + std::to_string(comm_.size());
    path += '.' + std::to_string(save % 2);
    return path;
  }
  /// How long the run is, and in what.
  std::string length() const { return std::to_string(settings_.steps > 0 ? settings_.steps : settings_.epochs); }
  const char* unit() const { return settings_.steps > 0 ? "steps" : what_.epochs(); }
  std::string composition(const std::string& length) const {
    return (comm_.size() > 1 ? line("ranks", std::to_string(comm_.size())) : "") + line("rows", std::to_string(rows_)) +
           line(unit(), length) + line("batch", std::to_string(settings_.batch)) + line("seed", std::to_string(settings_.seed)) +
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
  communicator_ref comm_;
  training_ranks ranks_;  // of which a hook says whether it is running
  bool in_hook_ = false;
  training_run run_;
  std::optional<interruptible> stop_;
  metric_list measured_;
  std::uint64_t saves_ = 0;
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
