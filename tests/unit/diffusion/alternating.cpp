// Generator and fake score in turn: distribution matching on a mixture whose score is known, stopped anywhere and resumed.
#include "tiny.hpp"

#include "catch.hpp"

#include <limbeck/averaging/averager.hpp>
#include <limbeck/driver/alternating.hpp>
#include <limbeck/trainer/averaging.hpp>
#include <limbeck/trainer/csv_metrics.hpp>
#include <limbeck/trainer/denoising_data.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <csignal>
#include <functional>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;
using Catch::Matchers::Message;

const lk::gaussian_mixture data({0.4, 1.6}, 1, 0.6);  // mean 1, variance 0.72
const lk::rectified path{};

struct at_step {
  std::uint64_t step;
  std::function<void()> act;
  void after_step(lk::training_run& r) {
    if (r.step == step) act();
  }
};
const at_step nothing{0, [] {}};

struct outcome {
  std::vector<double> generator, fake, average, velocity;
  double loss = 0;
  std::uint64_t steps = 0;
  bool interrupted = false;
  std::string table;
  bool operator==(const outcome&) const = default;
};

/// A whole program, as a user writes it: two trainers in turn.
outcome program(lk::alternating_settings settings, const toy::temporary* table, at_step watch, std::size_t batch = 8, std::size_t micro = 3,
                double rate = 0.02, std::size_t warm_up = 4) {
  tiny::generator generator;
  tiny::denoiser fake;
  lk::averager average(lk::ema{.decay = 0.9}, generator.parameters());
  toy::momentum of_generator{rate}, of_fake{2 * rate};
  auto noise = lk::noise_with_times<double>({.dimensions = 1, .rows = 64}, &tiny::any_time);
  auto samples = lk::denoised_samples(noise, [&](const lk::sample_batch<double>& z) { return generator.forward(z); }, path);
  auto real = lk::exact_denoiser<double>(data, path, lk::predicts_clean{});
  // In one dimension 1/|x - real| has no mean: a floor.
  lk::trainer matching{generator, lk::matching_teacher(path, real, fake, lk::predicts_clean{}, {.floor = 0.5}), lk::specified_gradient{},
                       of_generator};
  lk::trainer scoring{fake, [](lk::denoising_batch<double>& b) { return b.clean_rows(); }, lk::feature_mse{}, of_fake};
  const lk::turn_settings once{.steps = 1, .batch = batch, .micro_batch = micro};
  const lk::turn_settings twice{.steps = 2, .warm_up = warm_up, .batch = batch, .micro_batch = micro};
  auto first = lk::turn("generator", matching, noise, once, lk::averaging(average, generator));
  auto second = lk::turn("fake", scoring, samples, twice);
  const auto r = table ? lk::alternating(settings, first, second, lk::csv_metrics(table->path, 2), watch)
                       : lk::alternating(settings, first, second, watch);
  outcome o{generator.weights, fake.weights, {}, of_generator.velocity, r.metrics["generator/loss"], r.steps, r.interrupted, ""};
  for (const auto part : average.parameters()) o.average.insert(o.average.end(), part.begin(), part.end());
  if (table) o.table = lk::detail::read_file(table->path);
  return o;
}

TEST_CASE("alternating: distribution matching moves a Gaussian generator to the moments of a mixture", "[diffusion][alternating]") {
  const outcome o = program({.rounds = 1500, .seed = 4}, nullptr, nothing, 64, 0, 0.01);
  CHECK(o.steps == 4 + 1500 * 3);
  CHECK(o.average[0] == Approx(1).margin(0.05));
  CHECK(std::abs(o.average[1]) == Approx(std::sqrt(0.72)).margin(0.06));
  // The fake score is that of the generator: E[x | x_t] = m + kept (x_t - a m) of a Gaussian.
  for (std::size_t k = 0; k < 3; ++k) {
    const double a = 1 - tiny::times[k], s = tiny::times[k], v = o.average[1] * o.average[1];
    CHECK(o.fake[2 * k] == Approx(a * v / (a * a * v + s * s)).margin(0.1));
  }
}

TEST_CASE("alternating: stopped at each step by Ctrl-C and resumed is never stopped, bit for bit", "[diffusion][alternating]") {
  toy::temporary one("alternate_never.ckpt"), two("alternate_stopped.ckpt"), table("alternate_never.csv"), other("alternate_stopped.csv");
  const outcome never = program({.rounds = 3, .seed = 5, .checkpoint = one.path}, &table, nothing);
  CHECK(never.steps == 13);
  CHECK_THAT(never.table, Contains("step,epoch,loss,epoch_loss,generator/loss,fake/loss\n"));
  CHECK_THAT(never.table, Contains("\n2,0,") && Contains("\n7,1,") && Contains("\n10,2,") && Contains("\n13,3,"));
  for (std::uint64_t n = 1; n < 13; ++n) {
    CAPTURE(n);
    two.clear();
    const outcome stopped = program({.rounds = 3, .seed = 5, .checkpoint = two.path}, &other, {n, [] { std::raise(SIGINT); }});
    CHECK(stopped.interrupted);
    CHECK(stopped.steps == n);
    CHECK(program({.rounds = 3, .seed = 5, .checkpoint = two.path}, &other, {n, [] { FAIL("the signal saves"); }}) == never);
  }
  CHECK(program({.rounds = 3, .seed = 5}, nullptr, nothing).generator == never.generator);  // and a checkpoint changes nothing
}

TEST_CASE("alternating: a run that is killed goes on from its last checkpoint; micro-batches change nothing", "[diffusion][alternating]") {
  toy::temporary two("alternate_killed.ckpt");
  const outcome never = program({.rounds = 3, .seed = 5}, nullptr, nothing);
  for (const std::size_t every : {0U, 1U, 5U}) {
    two.clear();
    const at_step kill{9, [] { lk::raise<lk::value_error>("killed"); }};
    CHECK_THROWS_WITH(program({.rounds = 3, .seed = 5, .checkpoint = two.path, .checkpoint_every = every}, nullptr, kill), "killed");
    const outcome again = program({.rounds = 3, .seed = 5, .checkpoint = two.path, .checkpoint_every = every}, nullptr, nothing);
    CHECK(again == never);
  }
  const outcome whole = program({.rounds = 3, .seed = 5}, nullptr, nothing, 8, 0);
  CHECK(whole.generator[0] == Approx(never.generator[0]).epsilon(1e-12));
  CHECK(whole.generator[1] == Approx(never.generator[1]).epsilon(1e-12));
  two.clear();
  program({.rounds = 2, .seed = 5, .checkpoint = two.path}, nullptr, nothing);
  CHECK_THROWS_WITH(program({.rounds = 3, .seed = 5, .checkpoint = two.path}, nullptr, nothing),
                    Contains("is of a run of 2 rounds, not of 3; with alternating_settings::extend it goes on to these"));
  const outcome extended = program({.rounds = 3, .seed = 5, .checkpoint = two.path, .extend = true}, nullptr, nothing);
  CHECK(extended.generator == never.generator);  // nothing here reads the progress
  CHECK_THROWS_WITH(program({.rounds = 3, .seed = 5, .checkpoint = two.path}, nullptr, nothing, 8, 3, 0.02, 5),
                    Contains("turn fake = 4 steps, then 2 a round, of 8 rows") && Contains("turn fake = 5 steps"));
}

}  // namespace
