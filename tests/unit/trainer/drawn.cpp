// Data in a sampler's order, runs that are counted in steps, stages.

#include "catch.hpp"
#include "stops.hpp"
#include "toy.hpp"

#include <limbeck/trainer.hpp>

#include <algorithm>
#include <map>

namespace lk = limbeck;

namespace {

/// The rows of each step, as the data source saw them.
struct watched {
  toy::clouds data{40};
  std::vector<std::vector<std::size_t>> seen{};
  std::size_t size() const { return data.size(); }
  toy::drawn batch(std::span<const std::size_t> rows) {
    seen.emplace_back(rows.begin(), rows.end());
    return data.batch(rows);
  }
};
template <class Source>
lk::training_result fit(Source&& source, const lk::fit_settings& how, toy::linear* student = nullptr) {
  toy::linear own;
  return lk::trainer{student ? *student : own, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(source, how);
}
struct counts_epochs {
  std::vector<std::uint64_t>* at;
  void after_epoch(lk::training_run& run) const { at->push_back(run.step); }
};
using toy::stops_at;
/// A sampler with a memory: it goes through the rows, three on each time.
struct walker {
  std::uint64_t at = 0;
  std::vector<std::size_t> operator()(const lk::draw_request& r) {
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < r.batch; ++i, at += 3) rows.push_back(static_cast<std::size_t>(at % r.rows));
    return rows;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("at", at);
  }
};

/// Data that remembers how much noise it has drawn.
struct noisy : toy::clouds {
  lk::random_stream random{3};
  noisy() : toy::clouds(40) {}
  auto batch(std::span<const std::size_t> rows) {
    auto b = toy::clouds::batch(rows);
    for (double& number : b.inputs) number += 0.1 * random.normal();
    return b;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("random", random);
  }
};

}  // namespace

TEST_CASE("a run of so many steps", "[trainer][drawn]") {
  toy::clouds data(40);
  toy::linear student;
  std::vector<std::uint64_t> epochs;
  const auto r = lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(
      data, {.steps = 10, .batch = 10}, counts_epochs{&epochs});
  CHECK(r.steps == 10);
  CHECK(r.epochs == 3);
  CHECK(epochs == std::vector<std::uint64_t>{4, 8, 10});
  CHECK_FALSE(r.stopped);

  toy::linear by_epochs, by_steps;
  fit(data, {.epochs = 2, .batch = 10}, &by_epochs);
  fit(data, {.steps = 8, .batch = 10}, &by_steps);
  CHECK(by_epochs.weights() == by_steps.weights());
}

TEST_CASE("a run of steps is extended, and its checkpoint says so", "[trainer][drawn][resume]") {
  const toy::temporary file("steps.ckpt");
  toy::clouds data(40);
  toy::linear student;
  lk::fit_settings how{.steps = 6, .batch = 10, .checkpoint = file.path};
  fit(data, how, &student);
  how.steps = 9;
  CHECK_THROWS_WITH(fit(data, how, &student), Catch::Matchers::Contains("is of a run of 6 steps, not of 9; with "
                                                                        "fit_settings::extend it goes on to these"));
  how.extend = true;
  const auto r = fit(data, how, &student);
  CHECK(r.steps == 9);
  CHECK(r.epochs == 3);
  how.steps = 7;
  CHECK_THROWS_WITH(fit(data, how, &student),
                    Catch::Matchers::Contains("limbeck: steps is 7, but the run of checkpoint"));
}

TEST_CASE("a sampler's rows, its state and its steps an epoch", "[trainer][drawn][resume]") {
  watched data;
  std::vector<std::uint64_t> epochs;
  toy::linear student;
  lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(
      lk::drawn_by(walker{}, data, 3), {.epochs = 2, .batch = 2}, counts_epochs{&epochs});
  CHECK(epochs == std::vector<std::uint64_t>{3, 6});
  CHECK(data.seen[1] == std::vector<std::size_t>{6, 9});

  const toy::temporary file("drawn.ckpt");
  const auto run = [&](std::uint64_t stop, bool saved) {
    toy::linear s;
    watched source;
    lk::fit_settings how{.steps = 7, .batch = 4};
    if (saved) how.checkpoint = file.path, how.checkpoint_every = 1;
    lk::trainer t{s, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}};
    if (stop > 0) {
      CHECK_THROWS(t.fit(lk::drawn_by(walker{}, source), how, stops_at{stop}));
    } else {
      t.fit(lk::drawn_by(walker{}, source), how);
    }
    return s.weights();
  };
  const auto straight = run(0, false);
  (void)run(4, true);
  CHECK(run(0, true) == straight);
}

TEST_CASE("weights say how often a row is drawn", "[trainer][drawn]") {
  watched data;
  std::vector<double> weights(40, 0);
  weights[3] = 1, weights[20] = 3;
  lk::weighted_draw sampler(weights);
  fit(lk::drawn_by(sampler, data), {.steps = 100, .batch = 40});
  std::map<std::size_t, int> count;
  for (const auto& step : data.seen)
    for (const std::size_t r : step) ++count[r];
  CHECK(count.size() == 2);
  CHECK(count[20] == Approx(3000).margin(150));
  watched again;
  fit(lk::drawn_by(sampler, again), {.steps = 100, .batch = 40});
  CHECK(again.seen == data.seen);

  CHECK_THROWS_WITH(lk::weighted_draw({1, -1}),
                    "limbeck: weighted_draw is given weight -1 at row 1, expected a finite number "
                    "that is not negative");
  CHECK_THROWS_WITH(lk::weighted_draw({0, 0}), "limbeck: the weights of weighted_draw sum to 0");
  CHECK_THROWS_AS(fit(lk::drawn_by(lk::weighted_draw({1, 1}), data), {.steps = 1}), lk::shape_error);
}

TEST_CASE("shares of a batch, each through its own rows", "[trainer][drawn]") {
  watched data;
  std::vector<std::size_t> few{1, 2, 3}, many;
  for (std::size_t r = 10; r < 30; ++r) many.push_back(r);
  fit(lk::drawn_by(lk::mixed_draw{{few, 2}, {many, 5}}, data), {.steps = 12, .batch = 1});
  std::map<std::size_t, int> count;
  for (const auto& step : data.seen) {
    REQUIRE(step.size() == 7);
    for (const std::size_t r : step) ++count[r];
  }
  for (const std::size_t r : few) CHECK(count[r] == 8);
  for (const std::size_t r : many) CHECK(count[r] == 3);
  CHECK_THROWS_WITH((lk::mixed_draw{{few, 0}}),
                    "limbeck: share 0 of mixed_draw has 3 rows and the count 0, expected at least 1 of both");
  CHECK_THROWS_WITH(fit(lk::drawn_by(lk::mixed_draw{{{77}, 1}}, data), {.steps = 1}),
                    "limbeck: the sampler drew row 77 at position 0, the data has 40 rows");
}

TEST_CASE("a run goes on with the rows that it had", "[trainer][drawn][resume]") {
  const toy::temporary file("other_rows.ckpt");
  toy::clouds data(40);
  const lk::fit_settings how{.steps = 4, .batch = 8, .checkpoint = file.path};
  fit(lk::drawn_by(lk::mixed_draw{{{1, 2, 3}, 2}}, data), how);
  CHECK_THROWS_WITH(fit(lk::drawn_by(lk::mixed_draw{{{1, 2, 4}, 2}}, data), how),
                    Catch::Matchers::Contains("is of another composition") && Catch::Matchers::Contains("data = mixed_draw 2 of 3 ("));
}

TEST_CASE("the easiest rows first", "[trainer][drawn]") {
  watched data;
  std::vector<double> difficulty(40);
  for (std::size_t r = 0; r < 40; ++r) difficulty[r] = static_cast<double>((r * 17) % 40);
  fit(lk::drawn_by(lk::easiest_first(difficulty, lk::linear(0.1, 1.0)), data), {.steps = 50, .batch = 8});
  for (std::size_t step = 0; step < 50; ++step) {
    const double share = 0.1 + 0.9 * static_cast<double>(step) / 49;
    for (const std::size_t r : data.seen[step]) CHECK(difficulty[r] < std::ceil(share * 40 - 1e-9));
  }
  CHECK_THROWS_WITH(fit(lk::drawn_by(lk::easiest_first(difficulty, lk::linear(0.0, 1.0)), data), {.steps = 2}),
                    "limbeck: the share of easiest_first is 0, expected a number in (0, 1]");
}

TEST_CASE("stages go on where they were", "[trainer][drawn][resume]") {
  const toy::temporary folder("stages");
  std::filesystem::remove_all(folder.path);
  const auto run = [&](std::uint64_t stop, const std::filesystem::path& where) {
    toy::linear s;
    toy::clouds data(40), hard(20, 9, 3.0);
    return std::pair(
        lk::run_stages(where,
                       lk::stage("warm up",
                                 [&](const auto& file) {
                                   return lk::trainer{s, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(
                                       data, {.epochs = 2, .batch = 8, .checkpoint = file});
                                 }),
                       lk::stage("hard",
                                 [&](const auto& file) {
                                   lk::trainer t{s, lk::no_teacher{}, lk::cross_entropy{.smoothing = 0.1}, toy::adam{}};
                                   const lk::fit_settings how{
                                       .epochs = 2, .batch = 5, .checkpoint = file, .checkpoint_every = 1};
                                   return stop > 0 ? t.fit(hard, how, stops_at{stop}) : t.fit(hard, how);
                                 })),
        s.weights());
  };
  const auto straight = run(0, {});
  CHECK(straight.first.size() == 2);
  CHECK_THROWS_WITH(run(5, folder.path), "the machine is gone");
  const auto resumed = run(0, folder.path);
  CHECK(resumed.second == straight.second);
  CHECK(resumed.first[1].name == "hard");
  CHECK(resumed.first[0].result.steps == 10);
  CHECK(std::filesystem::exists(folder.path / "2-hard.ckpt"));
  std::filesystem::remove_all(folder.path);
  CHECK_THROWS_WITH(lk::run_stages({}, lk::stage("a", [](const auto&) { return lk::training_result{}; }),
                                   lk::stage("a", [](const auto&) { return lk::training_result{}; })),
                    "limbeck: two stages have the name a");
}

TEST_CASE("a run over a part of data with a state is resumed as the run that never stopped", "[trainer][drawn][resume]") {
  const toy::temporary file("noisy.ckpt");
  const auto run = [&](std::uint64_t stop, bool saved) {
    toy::linear s;
    noisy all;
    lk::subset inner(all, {0, 2, 3, 5, 7, 11, 13, 17});
    lk::subset part(inner, {6, 1, 2, 3, 4, 5});
    lk::fit_settings how{.steps = 7, .batch = 4};
    if (saved) how.checkpoint = file.path, how.checkpoint_every = 1;
    lk::trainer t{s, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}};
    if (stop > 0) {
      CHECK_THROWS(t.fit(part, how, stops_at{stop}));
    } else {
      t.fit(part, how);
    }
    return s.weights();
  };
  const auto straight = run(0, false);
  (void)run(4, true);
  CHECK(run(0, true) == straight);
}
