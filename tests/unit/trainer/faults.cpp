// Rows of data that give several rows of logits, bad steps, and checkpoints of runs that differ in one setting.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/trainer/trainer.hpp>

#include <array>
#include <csignal>
#include <limits>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

/// Each row of data gives two rows of logits, with a label each or one for both.
struct pairs : toy::clouds {
  bool all_labels = true;
  explicit pairs(std::size_t n) : toy::clouds(2 * n) {}
  std::size_t size() const { return toy::clouds::size() / 2; }
  toy::drawn batch(std::span<const std::size_t> rows) const {
    std::vector<std::size_t> both;
    for (const std::size_t r : rows) both.insert(both.end(), {2 * r, 2 * r + 1});
    toy::drawn b = batch_of(both);
    if (!all_labels) b.labels.resize(rows.size());
    if (all_labels) b.labels[0] = -100;
    return b;
  }
};

TEST_CASE("the mean of a step is over the rows of logits that have a label", "[trainer]") {
  pairs data(4);
  toy::linear student(3);
  std::vector<std::size_t> all{0, 1, 2, 3};
  auto whole = data.batch(all);
  double loss = lk::objective{lk::cross_entropy{}}(student.forward(whole.inputs), whole.labels).loss;
  // the order of the rows decides which one has lost its label: as the trainer draws it
  lk::random_stream(0).split(0).shuffle(all);
  whole = data.batch(all);
  loss = lk::objective{lk::cross_entropy{}}(student.forward(whole.inputs), whole.labels).loss;
  const auto r = lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(data, {.batch = 4});
  CHECK(r.loss == Approx(loss).epsilon(1e-12));
  data.all_labels = false;
  const auto fit = [&] { lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(data, {.batch = 4}); };
  CHECK_THROWS_WITH(fit(), Contains("the student gave 8 rows of logits, the batch has 4"));
}

/// The inputs of some draws are not numbers.
struct bad_draws : toy::clouds {
  std::uint64_t drawn = 0;
  std::vector<std::uint64_t> bad;
  using toy::clouds::clouds;
  toy::drawn batch(std::span<const std::size_t> rows) {
    toy::drawn b = toy::clouds::batch(rows);
    for (const auto n : bad)
      if (n == drawn) b.inputs[0] = std::numeric_limits<double>::quiet_NaN();
    ++drawn;
    return b;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("drawn", drawn);
  }
};
struct counting {
  std::uint64_t steps = 0, skipped = 0, stop_at = 0;
  void after_step(lk::training_run& r) {
    ++steps;
    skipped = r.skipped;
    r.interrupted = false;
    if (r.step == stop_at) std::raise(SIGINT);
  }
};

TEST_CASE("bad steps are skipped and counted, up to so many in a row", "[trainer]") {
  const auto run = [](toy::linear& student, std::vector<std::uint64_t> bad, lk::fit_settings settings, counting& seen) {
    bad_draws data(40);
    data.bad = std::move(bad);
    settings.batch = 10;
    settings.epochs = 2;
    toy::adam adam;
    return lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, adam}.fit(data, settings, seen);
  };
  counting seen;
  toy::linear student(3);
  const auto r = run(student, {1, 2, 5, 7}, {.skip_bad_steps = 2}, seen);
  CHECK(r.steps == 8);
  CHECK(r.skipped == 4);
  CHECK(seen.steps == 4);
  CHECK(seen.skipped == 3);
  CHECK(std::isfinite(r.loss));
  for (const double w : student.weights()) CHECK(std::isfinite(w));

  toy::linear off(3), three(3);
  counting none;
  CHECK_THROWS_AS(run(off, {1}, {}, none), lk::value_error);
  CHECK_THROWS_WITH(run(three, {1, 2, 3}, {.skip_bad_steps = 2}, none), Contains("nan"));
  for (const double g : three.gradients()) CHECK(g == 0);

  toy::temporary file("skipped.ckpt");
  toy::linear again(3);
  counting stops;
  stops.stop_at = 4;
  const auto first = run(again, {1, 2, 5, 7}, {.checkpoint = file.path, .skip_bad_steps = 2}, stops);
  CHECK(first.interrupted);
  CHECK(first.skipped == 2);
  toy::linear resumed(9);
  const auto second = run(resumed, {1, 2, 5, 7}, {.checkpoint = file.path, .skip_bad_steps = 2}, none);
  CHECK(second.skipped == 4);
  CHECK(resumed.weights() == student.weights());
}

TEST_CASE("a checkpoint is refused by the one setting that differs", "[resume]") {
  toy::temporary file("fingerprint.ckpt");
  toy::clouds data(20);
  toy::linear teacher(5);
  const auto why = [&](auto objective, double rate, std::size_t batch) -> std::string {
    toy::linear student(3);
    toy::adam adam;
    adam.rate = rate;
    try {
      lk::trainer{student, teacher, objective, adam}.fit(data, {.batch = batch, .checkpoint = file.path});
    } catch (const lk::checkpoint_error& e) {
      const std::string text = e.what();
      return text.substr(text.find("it is of"));
    }
    return "";
  };
  const auto objective = [](double smoothing, double last, double threshold) {
    return lk::cross_entropy{.smoothing = smoothing} +
           (lk::of_teacher(lk::confidence{}) > threshold) *
               lk::at_temperature(lk::linear(8, last), lk::warm_up(0.1, 2) * lk::forward_kl{});
  };
  CHECK(why(objective(0.1, 1, 0.5), 0.05, 5) == "");
  CHECK(why(objective(0.1, 1, 0.5), 0.05, 5) == "");
  CHECK(why(objective(0.1, 1, 0.5), 0.05, 4) == "it is of\nbatch = 5\nand not of\nbatch = 4");
  CHECK(why(objective(0.1, 1, 0.5), 0.06, 5) ==
        "it is of\noptimizer member 1 = 0.05\nand not of\noptimizer member 1 = 0.06");
  CHECK(why(objective(0.1000000001, 1, 0.5), 0.05, 5) ==
        "it is of\nobjective term 1 = cross_entropy{0.1}\nand not of\nobjective term 1 = cross_entropy{0.1000000001}");
  CHECK(why(objective(0.1, 2, 0.5), 0.05, 5) ==
        "it is of\nobjective term 2 student temperature = linear(8 -> 1)\nobjective term 2 teacher temperature = "
        "linear(8 -> 1)\nand not of\nobjective term 2 student temperature = linear(8 -> 2)\nobjective term 2 teacher "
        "temperature = linear(8 -> 2)");
  CHECK(why(objective(0.1, 1, 0.6), 0.05, 5) ==
        "it is of\nobjective term 2 signal = (0.5 < of_teacher(confidence))\nand not of\nobjective term 2 signal = "
        "(0.6 < of_teacher(confidence))");
  CHECK(why([](auto&&... a) { return lk::objective{lk::forward_kl{}}(a...); }, 0.05, 5) != "");
}

struct pair_of_options {
  int order;
  double weight;
};
struct many_options {
  pair_of_options both;
  std::array<double, 2> range;
  std::string name;
  bool on;
  const double* view;
  lk::linear schedule;
};
struct with_array {
  double c;
  double a[3];
};

TEST_CASE("objects in words", "[resume]") {
  CHECK(lk::detail::described(many_options{{1, 2.5}, {3, 0.1}, "x", true, nullptr, {8, 1}}) ==
        "many_options{pair_of_options{1, 2.5}, [3, 0.1], \"x\", true, a pointer, linear(8 -> 1)}");
  CHECK_THAT(lk::detail::described(with_array{1, {1, 2, 3}}), EndsWith("with_array"));
  CHECK(lk::detail::described(lk::sequence(lk::step({{0, 2.0}, {0.5, 1.0}}), 0.7, lk::warm_up(0.1, 3))) ==
        "sequence(step(0: 2, 0.5: 1), 0.7, warm_up(0.1, 3))");
}

}  // namespace
