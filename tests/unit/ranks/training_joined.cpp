// Losses between samples in a run over ranks: its steps are the one machine's on whole batches, whoever has which rows.
#if LIMBECK_TEST_TRAINER
#include "ranks.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/features.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/relations.hpp>
#include <limbeck/trainer/trainer.hpp>
#include <limbeck/trainer/validation.hpp>

#include <cmath>
#include <filesystem>
#include <functional>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

constexpr std::size_t features = 3, classes = 4;

struct some_rows {
  std::vector<double> inputs;
  std::vector<int> labels;
};
struct points {
  std::size_t bad_row = 1000;
  std::size_t size() const { return 22; }
  some_rows batch(std::span<const std::size_t> rows) {
    some_rows b;
    for (const std::size_t r : rows) {
      if (r == bad_row) throw lk::value_error("limbeck: row " + std::to_string(r) + " is bad");
      lk::random_stream own(100 + r);
      for (std::size_t f = 0; f < features; ++f) b.inputs.push_back(own.normal());
      b.labels.push_back(r % 5 == 0 ? -100 : static_cast<int>(own.below(classes)));
    }
    return b;
  }
};
/// The last rank has no row but one, rank 0 most: some have none in a step.
struct in_shards : points {
  const lk::training_ranks* who = nullptr;
  bool owns(std::size_t row) const {
    const int rank = who->comm().rank(), last = who->size() - 1;
    return rank == (row == 3 ? last : row % 4 == 1 ? last / 2 : 0);
  }
};

struct model {
  std::vector<double> w = std::vector<double>(features * classes), g = w, x, out;
  std::size_t throws_at = 0, calls = 0;
  model() {
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = 0.3 * std::sin(static_cast<double>(i + 1));
  }
  lk::rows<const double> forward(const std::vector<double>& inputs) {
    if (++calls == throws_at) throw lk::shape_error("limbeck: no such inputs");
    x = inputs;
    out.assign(x.size() / features * classes, 0);
    for (std::size_t i = 0; i < out.size(); ++i)
      for (std::size_t f = 0; f < features; ++f) out[i] += x[i / classes * features + f] * w[f * classes + i % classes];
    return {out.data(), x.size() / features, classes};
  }
  void backward(lk::rows<const double> d) {
    if (calls + 100 == throws_at) throw lk::shape_error("limbeck: no way back");
    for (std::size_t r = 0; r < d.samples; ++r)
      for (std::size_t f = 0; f < features; ++f)
        for (std::size_t c = 0; c < classes; ++c) g[f * classes + c] += x[r * features + f] * d(r, c);
  }
  void zero_gradients() { g.assign(g.size(), 0.0); }
  std::vector<std::span<double>> parameters() { return {w}; }
  std::vector<std::span<double>> gradients() { return {g}; }
};
struct teacher {
  lk::rows<const double> rows(std::span<const std::size_t> which) {
    out.clear();
    for (const std::size_t r : which)
      for (std::size_t c = 0; c < classes; ++c) out.push_back(std::cos(static_cast<double>(r * 7 + c * c)));
    return {out.data(), which.size(), classes};
  }
  std::vector<double> out;
};
struct two_outputs : model {
  auto forward(const std::vector<double>& inputs) {
    const auto z = model::forward(inputs);
    return lk::outputs{lk::output<"logits">(z), lk::output<"h">(z)};
  }
  template <class Gradient>
  void backward(const Gradient& d) {
    model::backward(d.template of<"logits">());
    model::backward(d.template of<"h">());
  }
};
struct sgd {
  template <class Model>
  void step(Model& m, lk::progress) const {
    auto&& slopes = m.gradients();
    auto slope = slopes.begin();
    for (auto&& p : m.parameters()) {
      for (std::size_t i = 0; i < p.size(); ++i) p[i] -= 0.25 * (*slope)[i];
      ++slope;
    }
  }
};
struct at_step {
  std::uint64_t step = 0;
  std::function<void(lk::training_run&)> act{};
  void after_step(lk::training_run& r) const {
    if (r.step == step) act(r);
  }
};

struct outcome {
  std::vector<double> numbers;  // all parameters, those that the objective learns too
  double loss, nll;
};
/// The whole program but for who runs it: losses of rows and between samples, a temperature and a map that are learned. @p over makes the
/// run's objective of that of one machine.
template <class Data, class Over>
outcome train(Data data, const lk::fit_settings& settings, const Over& over, const at_step& watch = {}, model student = {}) {
  lk::temperature_parameter<double> tau(2);
  lk::projection<double> map(classes, classes, lk::he{.seed = 5});
  const auto losses = lk::cross_entropy{} + lk::at_temperature(lk::learned(tau), lk::forward_kl{}) + 0.5 * lk::info_nce{} +
                      2 * lk::projected(map, lk::rkd_distance{});
  const auto objective = over(losses);
  points test;
  lk::trainer run{student, teacher{}, objective, sgd{}};
  const auto r = run.fit(data, settings, lk::validation(student, test), watch);
  outcome all{student.w, r.loss, r.metrics["nll"]};
  all.numbers.push_back(tau.value());
  for (const auto& p : map.parameters()) all.numbers.insert(all.numbers.end(), p.begin(), p.end());
  return all;
}
const auto as_it_is = [](const auto& objective) { return objective; };

bool near(double a, double b) { return std::abs(a - b) <= 1e-12 * (1 + std::abs(b)); }
bool near(const outcome& a, const outcome& b) {
  for (std::size_t i = 0; i < a.numbers.size(); ++i)
    if (!near(a.numbers[i], b.numbers[i])) return false;
  return a.numbers.size() == b.numbers.size() && near(a.loss, b.loss) && near(a.nll, b.nll);
}
template <class C>
std::string named(const C& comm, int rank) {
  return comm.size() == 1 ? "" : "rank " + std::to_string(rank) + " of " + std::to_string(comm.size()) + ": ";
}

}  // namespace

TEST_CASE("Losses between samples and of rows are trained over ranks as on one machine, with what they learn") {
  on_any_ranks([](const auto& comm) {
    const auto over = [&](const auto& objective) { return lk::batch_over(comm, objective); };
    for (const std::size_t batch : {4U, 7U}) {  // the last step has fewer rows than there are ranks
      const lk::fit_settings alone{.epochs = 3, .batch = batch, .seed = 5};
      lk::fit_settings together = alone;
      together.ranks = comm;
      const outcome expected = train(points{}, alone, as_it_is);
      EXPECT_ON_RANK(std::abs(expected.numbers[features * classes] - 2) > 1e-3);
      const outcome even = train(points{}, together, over);
      EXPECT_ON_RANK(near(even, expected));
      in_shards shards;
      shards.who = &together.ranks;
      EXPECT_ON_RANK(near(train(shards, together, over), expected));
      for (const double w : even.numbers) EXPECT_ON_RANK(lk::all_reduce_max(comm, w) == w && -lk::all_reduce_max(comm, -w) == w);
    }
  });
}

TEST_CASE("An objective of all ranks is its call with batch_over at the end, of a bare loss too") {
  on_any_ranks([](const auto& comm) {
    const std::vector<std::size_t> mine(static_cast<std::size_t>(comm.rank() + 1), static_cast<std::size_t>(comm.rank() * 2 + 1));
    teacher t;
    const auto taught = t.rows(mine);
    model m;
    const auto z = m.forward(points{}.batch(mine).inputs);
    const lk::rkd_distance loss;
    const lk::objective alone{loss};
    const auto all = lk::batch_over(comm, loss);
    std::vector<double> g(z.samples * classes), h = g;
    const double expected = alone(z, taught, lk::into(lk::rows<double>(g.data(), z.samples, classes)), lk::batch_over(comm)).loss;
    EXPECT_ON_RANK(all(z, taught, lk::into(lk::rows<double>(h.data(), z.samples, classes))).loss == expected && g == h);
    EXPECT_ON_RANK(all.value(z, taught) == expected && all.comm().size() == comm.size());
    EXPECT_ON_RANK(all.report(z, taught).terms().size() == 1 && all(z, taught).loss == expected);
  });
}

TEST_CASE("Of several outputs one has losses between samples over ranks; steps that are bad on one are skipped on all") {
  on_any_ranks([](const auto& comm) {
    const auto train_two = [&](const lk::training_ranks& who, const auto& objective, std::size_t bad) {
      two_outputs student;
      lk::trainer run{student, lk::outputs{lk::output<"h">(teacher{})}, objective, sgd{}};
      const auto r = run.fit(points{.bad_row = bad}, {.epochs = 2, .batch = 5, .skip_bad_steps = 2, .ranks = who});
      EXPECT_ON_RANK(r.skipped == (bad < 22 ? 2 : 0));
      return outcome{student.w, r.loss, 0};
    };
    const auto objective = lk::at<"logits">(lk::cross_entropy{}) + lk::at<"h">(lk::rkd_angle{});
    for (const std::size_t bad : {1000U, 6U})
      EXPECT_ON_RANK(near(train_two(comm, lk::batch_over(comm, objective), bad), train_two({}, objective, bad)));
  });
}

TEST_CASE("A run of losses between samples is resumed to the bit, and ends on all ranks where one fails before or after the call") {
  on_any_ranks([](const auto& comm) {
    const auto over = [&](const auto& objective) { return lk::batch_over(comm, objective); };
    const int last = comm.size() - 1;
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("limbeck_joined_" + std::to_string(LIMBECK_TEST_MPI) + std::to_string(comm.size()));
    const auto clear = [&] {
      (void)lk::all_gather(comm, 0);
      if (comm.rank() == 0)
        for (const auto& e : std::filesystem::directory_iterator(file.parent_path()))
          if (e.path().filename().string().starts_with(file.filename().string())) std::filesystem::remove(e.path());
      (void)lk::all_gather(comm, 0);
    };
    clear();
    lk::fit_settings settings{.epochs = 2, .batch = 4, .seed = 2, .ranks = comm};
    const outcome all = train(points{}, settings, over);
    settings.checkpoint = file;
    settings.checkpoint_every = 3;
    std::string fault = ranks::fault_of<std::runtime_error>([&] {
      (void)train(points{}, settings, over, {5, [&](auto&) {
                                               if (comm.rank() == last) throw std::runtime_error("the machine is gone");
                                             }});
    });
    EXPECT_ON_RANK(fault.ends_with("the machine is gone"));
    at_step first;
    std::uint64_t resumed = 0;
    first.step = 4, first.act = [&](auto& run) { resumed = run.resumed_from; };
    const outcome rest = train(points{}, settings, over, first);
    EXPECT_ON_RANK(resumed == 3 && rest.numbers == all.numbers && rest.loss == all.loss && rest.nll == all.nll);
    clear();

    settings.checkpoint.clear();
    for (const std::size_t when : {3U, 104U}) {  // in a forward, in a backward
      model failing;
      if (comm.rank() == last) failing.throws_at = when;
      fault = ranks::fault_of<lk::shape_error>([&] { (void)train(points{}, settings, over, {}, failing); });
      EXPECT_ON_RANK(fault == "limbeck: " + named(comm, last) + (when < 100 ? "no such inputs" : "no way back"));
    }
    points bad;
    bad.bad_row = 3;
    fault = ranks::fault_of<lk::value_error>([&] { (void)train(bad, settings, over); });
    EXPECT_ON_RANK(fault.ends_with("row 3 is bad"));

    lk::fit_settings wrong = settings;
    wrong.micro_batch = 2;
    fault = ranks::fault_of<lk::value_error>([&] { (void)train(points{}, wrong, over); });
    EXPECT_ON_RANK(fault.find("micro_batch is 2, but batch_over(world, objective) sees all rows") != std::string::npos);
    if (comm.size() == 1) return;
    wrong = settings;
    wrong.ranks = {};
    fault = ranks::fault_of<lk::value_error>([&] { (void)train(points{}, wrong, over); });
    EXPECT_ON_RANK(fault == "limbeck: batch_over(world, objective) is of " + ("rank " + std::to_string(comm.rank())) + " of " +
                                std::to_string(comm.size()) + ", and the run of rank 0 of 1; both are of one world: .ranks = world");
    const lk::one_rank nobody;
    fault = ranks::fault_of<lk::value_error>(
        [&] { (void)train(points{}, settings, [&](const auto& objective) { return lk::batch_over(nobody, objective); }); });
    EXPECT_ON_RANK(fault.find("is of rank 0 of 1, and the run of rank 0 of " + std::to_string(comm.size())) != std::string::npos);
  });
}
#endif
