// Turns of steps of one's own: whose turn it is, what is saved, what a bad step leaves, what is refused.
#include "stops.hpp"
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/driver/alternating.hpp>
#include <limbeck/trainer/csv_metrics.hpp>

#include <string>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;
using Catch::Matchers::Message;

/// A number that moves by what it draws.
struct number {
  double value = 0;
  void move(const lk::draw_request& r) {
    lk::random_stream random = r.random;
    value = 0.5 * value + random.normal() + 0.1 * static_cast<double>(r.step) + r.now.fraction();
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("value", value);
  }
};
/// How often it was called: a callback that is saved.
struct counter {
  std::uint64_t steps = 0, epochs = 0;
  void after_step(lk::training_run&) { ++steps; }
  void after_epoch(lk::training_run&) { ++epochs; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("steps", steps);
    archive("epochs", epochs);
  }
};

TEST_CASE("alternating: warm-ups first, then each round in the order of the turns", "[trainer][alternating]") {
  std::string log;
  std::vector<std::uint64_t> own;
  counter of_b;
  const auto step = [&](char c) {
    return [&log, &own, c](const lk::draw_request& r) {
      log += c;
      if (c == 'b') own.push_back(r.step);
      CHECK(r.batch == (c == 'b' ? 7U : 32U));
      return c == 'a' ? 1.0 : static_cast<double>(r.step);
    };
  };
  const auto r = lk::alternating({.rounds = 2}, lk::turn("a", step('a'), {.steps = 1, .warm_up = 1}),
                                 lk::turn("b", step('b'), {.steps = 3, .warm_up = 2, .batch = 7}, of_b), lk::turn("c", step('c')));
  CHECK(log == "abb" "abbbc" "abbbc");
  CHECK(own == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(of_b.steps == 8);
  CHECK(of_b.epochs == 2);
  CHECK(r.steps == 13);
  CHECK(r.epochs == 2);
  CHECK(r.metrics["a/loss"] == 1);
  CHECK(r.metrics["b/loss"] == 6);  // the mean of 5, 6 and 7
  CHECK(r.metrics["c/loss"] == 1);
}

struct outcome {
  double a = 0, b = 0;
  std::uint64_t counted = 0, skipped = 0;
  bool operator==(const outcome&) const = default;
};
outcome program(lk::alternating_settings settings, std::uint64_t stop, std::uint64_t bad = 99) {
  number a, b;
  counter count;
  settings.rounds = 3, settings.seed = 3;
  const auto first = [&](const lk::draw_request& r) {
    a.move(r);
    return a.value;
  };
  const auto second = [&](const lk::draw_request& r) {
    if (r.step == bad) lk::raise<lk::value_error>("bad");
    b.move(r);
    b.value += a.value;  // what the other has come to
    return b.value;
  };
  const auto r = lk::alternating(settings, lk::turn("a", first, {.steps = 1}, a, count), lk::turn("b", second, {.steps = 2, .warm_up = 1}, b),
                                 toy::stops_at{stop});
  return {a.value, b.value, count.steps, r.skipped};
}

TEST_CASE("alternating: steps of one's own are resumed after each step, with what is named behind them", "[trainer][alternating]") {
  const toy::temporary file("turns.ckpt");
  const outcome never = program({}, 0);
  CHECK(never.counted == 3);
  for (std::uint64_t n = 1; n < 10; ++n) {
    file.clear();
    CHECK_THROWS_WITH(program({.checkpoint = file.path, .checkpoint_every = 1}, n), "the machine is gone");
    CHECK(program({.checkpoint = file.path, .checkpoint_every = 1}, 0) == never);
  }
  CHECK(program({.checkpoint = file.path}, 0) == never);  // a finished run restores
}

TEST_CASE("alternating: a bad step is skipped and counted, or ends the run", "[trainer][alternating]") {
  CHECK_THROWS_WITH(program({}, 0, 2), "bad");
  const outcome skipped = program({.skip_bad_steps = 1}, 0, 2);
  CHECK(skipped.skipped == 1);
  CHECK(skipped.a == program({}, 0).a);  // the other's draws are its own
}

TEST_CASE("alternating: what is refused", "[trainer][alternating]") {
  const toy::temporary file("refused.ckpt");
  number n;
  const auto step = [&](const lk::draw_request&) { return 0.0; };
  const auto run = [&](lk::alternating_settings s, std::string first, std::string second, lk::turn_settings t) {
    lk::alternating(s, lk::turn(first, step, t, n), lk::turn(second, step, {}, n));
  };
  CHECK_THROWS_MATCHES(run({.rounds = 0}, "a", "b", {}), lk::value_error, Message("limbeck: rounds is 0, expected at least 1"));
  CHECK_THROWS_MATCHES(run({}, "a", "a", {}), lk::value_error, Message("limbeck: two turns have the name a"));
  CHECK_THROWS_MATCHES(run({}, "a/b", "a", {}), lk::value_error,
                       Message("limbeck: a turn's name is 'a/b', expected one that is not empty, without '/' and line feeds"));
  CHECK_THROWS_MATCHES(run({}, "a", "b", {.steps = 0}), lk::value_error, Message("limbeck: steps of turn 'a' is 0, expected at least 1"));
  CHECK_THROWS_MATCHES(run({}, "a", "b", {.batch = 0}), lk::value_error, Message("limbeck: batch of turn 'a' is 0, expected at least 1"));
  CHECK_THROWS_WITH(lk::alternating({.checkpoint = file.path}, lk::turn("a", step, {}, n), lk::turn("b", step)),
                    Contains("turn 'b' has nothing to save: name its models and optimisers behind its settings"));
  CHECK_FALSE(std::filesystem::exists(file.path));
}

}  // namespace
