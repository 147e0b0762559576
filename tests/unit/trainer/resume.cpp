// Stopped at step n and resumed = never stopped, bit for bit: student, optimiser, mean teacher, random state of the
// data, schedules, early stopping, the best parameters and the table of metrics.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/averaging/averager.hpp>
#include <limbeck/trainer/averaging.hpp>
#include <limbeck/trainer/csv_metrics.hpp>
#include <limbeck/trainer/early_stopping.hpp>
#include <limbeck/trainer/trainer.hpp>
#include <limbeck/trainer/validation.hpp>

#include <csignal>
#include <functional>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;
using Catch::Matchers::Message;

struct at_step {
  std::uint64_t step;
  std::function<void()> act;
  void after_step(lk::training_run& r) {
    if (r.step == step) act();
  }
};
struct outcome {
  std::vector<double> student, teacher, first, second;
  std::uint64_t steps = 0, random = 0;
  double best = 0, loss = 0, accuracy = 0;
  bool interrupted = false;
  std::string table;
  bool operator==(const outcome&) const = default;
};

/// A whole program: everything is made anew, and `fit` is called once.
outcome program(const toy::temporary& checkpoint, const toy::temporary& table, at_step watch,
                lk::fit_settings settings = {}) {
  toy::clouds data(60), test(90, 8);
  data.noise = 0.3;
  toy::linear student(3), teacher(3);
  toy::adam adam;
  lk::averager follow(lk::mean_teacher{.decay = 0.9}, lk::in_place(teacher.parameters()));
  lk::keep_best best(student, {.metric = "nll", .lower_is_better = true});
  settings.epochs = 6;
  settings.batch = 16;  // 4 steps an epoch, the last of 12 rows
  settings.micro_batch = 5;
  settings.seed = 11;
  settings.checkpoint = checkpoint.path;
  lk::trainer t{student, teacher,
                lk::cross_entropy{} + lk::warm_up(0.5, 1) * lk::at_temperature(lk::linear(3, 1), lk::forward_kl{}),
                adam};
  const auto r = t.fit(data, settings, lk::averaging(follow, student), lk::validation(student, test),
                       lk::validation(teacher, test, {.prefix = "teacher/"}), best,
                       lk::early_stopping{.metric = "teacher/nll", .lower_is_better = true},
                       lk::csv_metrics(table.path, 3), watch);
  outcome o{student.weights(), teacher.weights(), adam.first, adam.second, r.steps, data.random(), 0, 0, 0, false, ""};
  o.best = best.best();
  o.loss = r.loss;
  o.accuracy = r.metrics["accuracy"];
  o.interrupted = r.interrupted;
  if (std::filesystem::exists(table.path)) o.table = lk::detail::read_file(table.path);
  return o;
}
const at_step nothing{0, [] {}};

TEST_CASE("a run that is stopped by Ctrl-C and resumed is one that never stopped", "[resume]") {
  toy::temporary one("never.ckpt"), two("stopped.ckpt"), table("never.csv"), other("stopped.csv");
  const outcome never = program(one, table, nothing);
  CHECK(never.steps == 24);
  CHECK_THAT(never.table, Contains("step,epoch,loss,epoch_loss,accuracy,nll,ece,teacher/accuracy"));
  for (const std::uint64_t n : {1U, 3U, 4U, 7U, 12U, 23U}) {
    CAPTURE(n);
    two.clear();
    const outcome stopped = program(two, other, {n, [] { std::raise(SIGINT); }});
    CHECK(stopped.interrupted);
    CHECK(stopped.steps == n);
    const at_step repeated{n, [] { FAIL("the signal saves, also where no epoch has ended"); }};
    CHECK(program(two, other, repeated) == never);
  }
  const outcome again = program(two, other, {24, [] { FAIL("a finished run takes no step"); }});
  CHECK(again.student == never.student);
  CHECK(again.accuracy == never.accuracy);
  CHECK(again.loss == never.loss);
}

TEST_CASE("a run that is killed goes on from its last checkpoint, and the table has no row twice", "[resume]") {
  toy::temporary one("alive.ckpt"), two("killed.ckpt"), table("alive.csv"), other("killed.csv");
  const outcome never = program(one, table, nothing);
  for (const std::size_t every : {0U, 1U, 5U}) {
    two.clear();
    const at_step kill{14, [] { throw std::runtime_error("killed"); }};
    CHECK_THROWS_WITH(program(two, other, kill, {.checkpoint_every = every}), "killed");
    CHECK_THAT(lk::detail::read_file(other.path), Contains("\n12,3,"));
    CHECK(program(two, other, nothing, {.checkpoint_every = every}) == never);
  }
}

TEST_CASE("a checkpoint of another run is refused, and left as it was", "[resume]") {
  toy::temporary file("another.ckpt");
  toy::clouds data(20), more(21);
  const auto fit = [&](auto& source, std::size_t batch, auto loss) {
    toy::linear student(3);
    lk::trainer{student, lk::no_teacher{}, lk::objective{loss}, toy::sgd{}}.fit(
        source, {.batch = batch, .checkpoint = file.path});
  };
  fit(data, 5, lk::cross_entropy{});
  const std::string before = lk::detail::read_file(file.path);
  CHECK_THROWS_WITH(fit(data, 4, lk::cross_entropy{}), Contains("is of another composition") &&
                                                           Contains("it is of\nbatch = 5\nand not of\nbatch = 4"));
  CHECK_THROWS_AS(fit(more, 5, lk::cross_entropy{}), lk::checkpoint_error);
  CHECK_THROWS_AS(fit(data, 5, lk::cross_entropy{.smoothing = 0.1}), lk::checkpoint_error);
  CHECK(lk::detail::read_file(file.path) == before);
}

int caught = 0;
void catcher(int) { ++caught; }

TEST_CASE("interruptible: nested, puts the handlers back, leaves a second signal to them", "[resume]") {
  const auto before = std::signal(SIGTERM, catcher);
  {
    lk::interruptible outer;
    CHECK_FALSE(outer.requested());
    {
      lk::interruptible inner;
      std::raise(SIGTERM);
      CHECK(inner.requested());
    }
    CHECK(outer.requested());
    CHECK(caught == 0);
    std::raise(SIGTERM);  // the second one
    CHECK(caught == 1);
  }
  std::raise(SIGTERM);
  CHECK(caught == 2);
  {
    lk::interruptible fresh;
    CHECK_FALSE(fresh.requested());
  }
  std::signal(SIGTERM, SIG_IGN);
  {
    lk::interruptible quiet;
    std::raise(SIGTERM);
    CHECK_FALSE(quiet.requested());
  }
  std::signal(SIGTERM, before);
}

/// Descent at one rate.
struct at_one_rate {
  void step(toy::linear& model, lk::progress) {
    std::size_t i = 0;
    for (const auto part : model.parameters())
      for (double& w : part) w -= 0.1 * model.gradients()[i++];
  }
};

TEST_CASE("a run goes on to more epochs where that is said", "[trainer][checkpoint]") {
  const toy::temporary file("limbeck_extended");
  const auto fit = [&](lk::fit_settings settings) {
    toy::clouds data(12);
    toy::linear student(3);
    settings.batch = 5;
    const auto r = lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, at_one_rate{}}.fit(data, settings);
    return std::pair{student.weights(), r.steps};
  };
  const auto whole = fit({.epochs = 4});
  (void)fit({.epochs = 2, .checkpoint = file.path});
  CHECK_THROWS_WITH(fit({.epochs = 4, .checkpoint = file.path}), Contains("is of a run of 2 epochs, not of 4; with fit_settings::extend it goes on to these"));
  const auto on = fit({.epochs = 4, .checkpoint = file.path, .extend = true});
  CHECK(on == whole);  // nothing here depends on progress
  CHECK(fit({.epochs = 4, .checkpoint = file.path}) == whole);  // the checkpoint is one of 4 epochs now
  CHECK(fit({.epochs = 4, .checkpoint = file.path, .extend = true}) == whole);
  CHECK_THROWS_WITH(fit({.epochs = 3, .checkpoint = file.path, .extend = true}),
                    Contains("limbeck: epochs is 3, but the run of checkpoint") && Contains("has done 4 of 4"));
}

}  // namespace
