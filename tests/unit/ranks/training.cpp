// A run over ranks is the run of one machine: its steps, its losses and metrics, its end; it is resumed bit for bit, and where one rank
// fails, all do.
#if LIMBECK_TEST_TRAINER
#include "ranks.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/driver/alternating.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/trainer/csv_metrics.hpp>
#include <limbeck/trainer/drawn.hpp>
#include <limbeck/trainer/early_stopping.hpp>
#include <limbeck/trainer/mutual.hpp>
#include <limbeck/trainer/trainer.hpp>
#include <limbeck/trainer/validation.hpp>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

constexpr std::size_t features = 3, classes = 4;

struct some_rows {
  std::vector<double> inputs;
  std::vector<int> labels;
  std::vector<double> row_weights;
};
/// Whole numbers, so that sums are exact in any order; half of the rows have no label. Noise, where there is some, is each rank's own.
struct points {
  std::size_t n = 20;
  double noise = 0;
  lk::random_stream random{1};
  std::size_t bad_row = 1000;
  std::size_t size() const { return n; }
  some_rows batch(std::span<const std::size_t> rows) {
    some_rows b;
    for (const std::size_t r : rows) {
      if (r == bad_row) throw lk::value_error("limbeck: row " + std::to_string(r) + " is bad");
      lk::random_stream own(100 + r);
      for (std::size_t f = 0; f < features; ++f)
        b.inputs.push_back(static_cast<double>(own.below(3)) - 1 + (noise > 0 ? noise * random.normal() : 0));
      b.labels.push_back(r < 7 || r % 3 == 0 ? -100 : static_cast<int>(own.below(classes)));
      b.row_weights.push_back(static_cast<double>(own.below(3)) + 0.5);
    }
    return b;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("random", random);
  }
};
struct only_inputs {
  std::vector<double> inputs;
};
struct unweighed : points {
  only_inputs batch(std::span<const std::size_t> rows) { return {points::batch(rows).inputs}; }
};
struct in_shards : unweighed {
  int rank = 0, size_of_all = 1;
  /// Rank 1 has nothing, where there are more.
  bool owns(std::size_t row) const {
    if (size_of_all == 1 || row % 2 == 0) return rank == 0;
    return rank == (size_of_all > 2 && row % 4 == 1 ? 2 : size_of_all - 1);
  }
  only_inputs batch(std::span<const std::size_t> rows) {
    for (const std::size_t r : rows)
      if (!owns(r)) throw std::logic_error("asked for a row of another rank");
    return unweighed::batch(rows);
  }
};

/// inputs W: alone, or under two names.
struct model {
  std::vector<double> w = std::vector<double>(features * classes), g = w, x, out;
  lk::rows<const double> forward(const std::vector<double>& inputs) {
    x = inputs;
    out.assign(x.size() / features * classes, 0);
    for (std::size_t i = 0; i < out.size(); ++i)
      for (std::size_t f = 0; f < features; ++f) out[i] += x[i / classes * features + f] * w[f * classes + i % classes];
    return {out.data(), x.size() / features, classes};
  }
  void backward(lk::rows<const double> d) {
    for (std::size_t r = 0; r < d.samples; ++r)
      for (std::size_t f = 0; f < features; ++f)
        for (std::size_t c = 0; c < classes; ++c) g[f * classes + c] += x[r * features + f] * d(r, c);
  }
  void zero_gradients() { g.assign(g.size(), 0.0); }
  std::vector<std::span<double>> parameters() { return {std::span(w).first(5), std::span(w).subspan(5)}; }
};
struct shown : model {
  std::vector<std::span<double>> gradients() { return {std::span(g).first(5), std::span(g).subspan(5)}; }
};
struct two_outputs : shown {
  auto forward(const std::vector<double>& inputs) {
    const auto z = shown::forward(inputs);
    return lk::outputs{lk::output<"logits">(z), lk::output<"labelled">(z)};
  }
  template <class Gradient>
  void backward(const Gradient& d) {
    shown::backward(d.template of<"logits">());
    shown::backward(d.template of<"labelled">());
  }
};
struct labelled_rows {
  std::vector<double> inputs;
  decltype(lk::outputs{lk::output<"labelled">(std::vector<int>())}) labels;
  std::vector<double> row_weights;
};
struct labelled_points {
  points of{};
  std::size_t size() const { return of.size(); }
  labelled_rows batch(std::span<const std::size_t> rows) {
    some_rows b = of.batch(rows);
    return {b.inputs, lk::outputs{lk::output<"labelled">(std::move(b.labels))}, b.row_weights};
  }
};

struct teacher {
  lk::rows<const double> rows(std::span<const std::size_t> which) {
    out.clear();
    for (const std::size_t r : which)
      for (std::size_t c = 0; c < classes; ++c) out.push_back(static_cast<double>((r * 7 + c * c) % 5) - 2);
    return {out.data(), which.size(), classes};
  }
  std::vector<double> out;
};
struct sgd {
  template <class Model>
  void step(Model& m, lk::progress) {
    auto&& slopes = m.gradients();
    auto slope = slopes.begin();
    for (auto&& p : m.parameters()) {
      for (std::size_t i = 0; i < p.size(); ++i) p[i] -= 0.25 * (*slope)[i];
      ++slope;
    }
  }
};
struct hidden_sgd {
  void step(model& m, lk::progress) const {
    for (std::size_t i = 0; i < m.w.size(); ++i) m.w[i] -= 0.25 * m.g[i];
  }
};
struct momentum {
  std::vector<double> velocity = std::vector<double>(features * classes);
  void step(shown& m, lk::progress) {
    for (std::size_t i = 0; i < m.w.size(); ++i) m.w[i] -= 0.3 * (velocity[i] = 0.7 * velocity[i] + m.g[i]);
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("velocity", velocity);
  }
};
struct refusing : sgd {
  std::uint64_t at;
  explicit refusing(std::uint64_t step) : at(step) {}
  template <class Model>
  void step(Model& m, lk::progress p) {
    if (at-- == 1) throw std::runtime_error("no such step");
    sgd::step(m, p);
  }
};
struct at_step {
  std::uint64_t step;
  std::function<void(lk::training_run&)> act;
  void after_step(lk::training_run& r) const {
    if (r.step == step) act(r);
  }
};
/// Throws in the middle of a save, or of what comes before it.
struct archived_badly {
  int when = -1, walks = 0;
  void after_step(lk::training_run&) const {}
  template <class Archive>
  void serialize(Archive&) {
    if (++walks == when) throw std::runtime_error("the disk is full");
  }
};
/// How messages name a rank.
template <class C>
std::string named(const C& comm, int rank) {
  return comm.size() == 1 ? "" : "rank " + std::to_string(rank) + " of " + std::to_string(comm.size()) + ": ";
}
bool near(double a, double b) { return std::abs(a - b) <= 1e-12 * (1 + std::abs(b)); }
bool near(const std::vector<double>& a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!near(a[i], b[i])) return false;
  return a.size() == b.size();
}

/// A file that ranks share, gone before and after.
struct shared_file {
  std::filesystem::path path;
  template <class C>
  shared_file(const C& comm, const std::string& name)
      : path(std::filesystem::temp_directory_path() /
             ("limbeck_ranks_" + std::to_string(LIMBECK_TEST_MPI) + std::to_string(comm.size()) + '_' + name)) {
    clear(comm);
  }
  template <class C>
  void clear(const C& comm) const {
    (void)lk::all_gather(comm, 0);
    if (comm.rank() == 0)
      for (const auto& e : std::filesystem::directory_iterator(path.parent_path()))
        if (e.path().filename().string().starts_with(path.filename().string())) std::filesystem::remove(e.path());
    (void)lk::all_gather(comm, 0);
  }
  template <class C>
  std::size_t files(const C& comm) const {
    (void)lk::all_gather(comm, 0);
    std::size_t n = 0;
    for (const auto& e : std::filesystem::directory_iterator(path.parent_path()))
      n += e.path().filename().string().starts_with(path.filename().string()) ? 1 : 0;
    (void)lk::all_gather(comm, 0);
    return n;
  }
};

}  // namespace

TEST_CASE("Steps over ranks are the one machine's, to the bit where sums are exact") {
  on_any_ranks([](const auto& comm) {
    for (const std::size_t batch : {8U, 2U})
      for (const std::size_t micro : {0U, 3U}) {
        const lk::fit_settings alone{.steps = 7, .batch = batch, .micro_batch = micro, .seed = 5};
        lk::fit_settings together = alone;
        together.ranks = comm;
        shown one, even, hooked;
        lk::trainer run_one{one, teacher{}, lk::mse{}, sgd{}};
        unweighed data;
        const auto expected = run_one.fit(data, alone);
        lk::trainer run_even{even, teacher{}, lk::mse{}, sgd{}};
        const auto got = run_even.fit(data, together);
        EXPECT_ON_RANK(even.w == one.w && got.steps == expected.steps && near(got.loss, expected.loss));

        shown owner;
        in_shards shards;
        shards.rank = comm.rank(), shards.size_of_all = comm.size();
        lk::trainer run_owner{owner, teacher{}, lk::mse{}, sgd{}};
        (void)run_owner.fit(shards, together);
        EXPECT_ON_RANK(owner.w == one.w);

        std::size_t calls = 0;
        model bare;
        together.ranks = {comm, [&] { ++calls, lk::all_reduce_sum(comm, std::span<double>(bare.g)); }};
        lk::trainer run_bare{bare, teacher{}, lk::mse{}, hidden_sgd{}};
        (void)run_bare.fit(data, together);
        EXPECT_ON_RANK(bare.w == one.w && calls == (comm.size() > 1 ? 7 : 0));
      }
  });
}

TEST_CASE("Over ranks each output is reduced over its rows that count, and what an objective learns is learned together") {
  on_any_ranks([](const auto& comm) {
    const auto train = [](const lk::fit_settings& settings, lk::training_result& result) {
      two_outputs student;
      for (std::size_t i = 0; i < student.w.size(); ++i) student.w[i] = 0.1 * static_cast<double>(i % 5);
      lk::temperature_parameter<double> tau(2);
      const auto loss = lk::at<"labelled">(lk::cross_entropy{}) + lk::at<"logits">(lk::at_temperature(lk::learned(tau), lk::forward_kl{}));
      result = lk::trainer{student, lk::outputs{lk::output<"logits">(teacher{})}, loss, sgd{}}.fit(labelled_points{}, settings);
      student.w.push_back(tau.value());
      return student.w;
    };
    lk::fit_settings settings{.epochs = 3, .batch = 7, .seed = 3};
    lk::training_result alone, together;
    const auto expected = train(settings, alone);
    settings.ranks = comm;
    const auto got = train(settings, together);
    EXPECT_ON_RANK(near(got, expected) && std::abs(got.back() - 2) > 1e-3);
    EXPECT_ON_RANK(near(together.loss, alone.loss));
    for (const double w : got) EXPECT_ON_RANK(lk::all_reduce_max(comm, w) == w && -lk::all_reduce_max(comm, -w) == w);  // one bit on all
  });
}

TEST_CASE("Validation, early stopping and tables over ranks are the one machine's; pupils learn together") {
  on_any_ranks([](const auto& comm) {
    shared_file table(comm, "table");
    const auto train = [&](const lk::fit_settings& settings, bool simultaneous) {
      shown a, b;
      b.w[0] = 1;
      points data;
      struct : points {
        const lk::training_ranks* who;
        bool owns(std::size_t row) const { return static_cast<int>(row % 5) % who->size() == who->comm().rank(); }
      } test;
      test.n = 31, test.who = &settings.ranks;
      lk::mutual_trainer both{lk::pupil{a, lk::cross_entropy{} + lk::forward_kl{}, sgd{}}, lk::pupil{b, lk::forward_kl{}, sgd{}}};
      both.simultaneous = simultaneous;
      auto r = both.fit(data, settings, lk::validation(a, test, {.batch = 4}),
                        lk::early_stopping{.metric = "nll", .lower_is_better = true, .patience = 2, .by = 0.01},
                        lk::csv_metrics(table.path, 1));
      EXPECT_ON_RANK(!settings.ranks.hook() && r.stopped && r.steps > 3);
      return std::tuple(a.w, r.metrics["accuracy"], r.metrics["nll"], r.metrics["ece"], r.steps);
    };
    for (const bool simultaneous : {false, true}) {
      lk::fit_settings settings{.epochs = 60, .batch = 9, .micro_batch = 2, .ranks = comm};
      const auto got = train(settings, simultaneous);
      settings.ranks = {};
      table.path += ".alone" + std::to_string(comm.rank());
      const auto expected = train(settings, simultaneous);
      table.path.replace_extension();
      EXPECT_ON_RANK(near(std::get<0>(got), std::get<0>(expected)) && std::get<1>(got) == std::get<1>(expected));
      EXPECT_ON_RANK(near(std::get<2>(got), std::get<2>(expected)) && near(std::get<3>(got), std::get<3>(expected)));
      EXPECT_ON_RANK(std::get<4>(got) == std::get<4>(expected));
    }
    EXPECT_ON_RANK(table.files(comm) == 1 + static_cast<std::size_t>(comm.size()));
    table.clear(comm);
  });
}

TEST_CASE("Networks in turn take their steps over ranks") {
  on_any_ranks([](const auto& comm) {
    const auto train = [&](const lk::training_ranks& who) {
      shown a, b;
      points more{33};
      lk::trainer first{a, teacher{}, lk::mse{}, sgd{}};
      lk::trainer second{b, teacher{}, lk::forward_kl{}, sgd{}};
      (void)lk::alternating({.rounds = 4, .seed = 8, .ranks = who}, lk::turn("a", first, unweighed{}, {.batch = 5}),
                            lk::turn("b", second, more, {.steps = 2, .warm_up = 1, .batch = 6, .micro_batch = 2}),
                            lk::turn("own", [](const lk::draw_request&) { return 1; }));
      a.w.insert(a.w.end(), b.w.begin(), b.w.end());
      return a.w;
    };
    EXPECT_ON_RANK(near(train(comm), train({})));
  });
}

TEST_CASE("Resumed on as many ranks, a run is the one that never stopped, to the bit; on others it is refused") {
  on_any_ranks([](const auto& comm) {
    shared_file never(comm, "never"), stopped(comm, "stopped");
    const int last = comm.size() - 1;
    struct outcome {
      std::vector<double> w, velocity;
      std::uint64_t random, steps;
      double loss;
      bool interrupted;
    };
    const auto program = [&](const std::filesystem::path& file, at_step watch, archived_badly state = {}, bool alone = false) {
      points data{.n = 22, .noise = 0.2, .random = lk::random_stream(static_cast<std::uint64_t>(comm.rank()))};
      shown student;
      momentum o;
      lk::fit_settings settings{.epochs = 3, .batch = 5, .seed = 2, .checkpoint = file, .checkpoint_every = 4};
      if (!alone) settings.ranks = comm;
      const auto r = lk::trainer{student, teacher{}, lk::forward_kl{}, o}.fit(data, settings, watch, state);
      return outcome{student.w, o.velocity, data.random(), r.steps, r.loss, r.interrupted};
    };
    const at_step nothing{0, [](auto&) {}};
    const auto all = program(never.path, nothing);
    EXPECT_ON_RANK(all.steps == 15 && !all.interrupted && never.files(comm) == static_cast<std::size_t>(comm.size()));
    const auto same = [&](const outcome& x) {
      return x.w == all.w && x.velocity == all.velocity && x.random == all.random && x.steps == all.steps && x.loss == all.loss;
    };
    EXPECT_ON_RANK(same(program(never.path, nothing)));  // finished: restored

    for (const std::uint64_t n : {1U, 6U, 14U}) {  // one rank is interrupted: all stop there
      const auto part = program(stopped.path, {n, [&](auto&) {
                                  if (comm.rank() == last) std::raise(SIGINT);
                                }});
      EXPECT_ON_RANK(part.interrupted && part.steps == n);
      EXPECT_ON_RANK(same(program(stopped.path, nothing)));
      stopped.clear(comm);
    }
    for (const int guilty : {0, last}) {
      // one fails between two saves, and one in the middle of a save: what was saved before is whole
      const std::string who = comm.size() == 1 ? "" : "limbeck: " + named(comm, guilty);
      std::string fault = ranks::fault_of<std::runtime_error>([&] {
        (void)program(stopped.path, {7, [&](auto&) {
                        if (comm.rank() == guilty) throw std::runtime_error("the machine is gone");
                      }});
      });
      EXPECT_ON_RANK(fault == who + "the machine is gone");
      fault = ranks::fault_of<std::runtime_error>([&] {
        (void)program(stopped.path, nothing, {.when = comm.rank() == guilty ? 5 : -1});  // two walks and a copy are the resumption
      });
      EXPECT_ON_RANK(fault == who + "the disk is full");
      EXPECT_ON_RANK(same(program(stopped.path, nothing)));
      stopped.clear(comm);
    }
    if (comm.size() == 1) return;
    std::string fault = ranks::fault_of<std::runtime_error>([&] {
      (void)program(comm.rank() == last ? std::filesystem::path(std::string(1000, 'x')) : stopped.path, nothing);
    });
    EXPECT_ON_RANK(fault.starts_with("limbeck: " + named(comm, last)));
    if (comm.rank() == 0) fault = ranks::fault_of<lk::checkpoint_error>([&] { (void)program(never.path, nothing, {}, true); });
    if (comm.rank() == 0) EXPECT_ON_RANK(fault.find("it is of\nranks = " + std::to_string(comm.size()) + "\n") != std::string::npos);
    (void)lk::all_gather(comm, 0);
    if (comm.rank() == last)  // a part that is lost
      for (const char* slot : {".0", ".1"})
        std::filesystem::remove(never.path.string() + '.' + std::to_string(last) + "-of-" + std::to_string(comm.size()) + slot);
    fault = ranks::fault_of<std::runtime_error>([&] { (void)program(never.path, nothing); });
    EXPECT_ON_RANK(fault.starts_with("limbeck: " + named(comm, last) + "cannot read '"));
    never.clear(comm);
  });
}

TEST_CASE("What is wrong on one rank is refused or skipped on all, and who stops, stops all") {
  on_any_ranks([](const auto& comm) {
    const int last = comm.size() - 1;
    const auto fit = [&](points data, lk::fit_settings settings, at_step watch, auto& student, auto optimizer) {
      settings.ranks = comm;
      return lk::trainer{student, teacher{}, lk::mse{}, optimizer}.fit(data, settings, watch);
    };
    const at_step nothing{0, [](auto&) {}};
    const lk::fit_settings settings{.steps = 5, .batch = 8, .seed = 1};
    {  // a batch that one rank cannot make, wherever its row comes
      shown student;
      points data;
      if (comm.rank() == last) data.bad_row = 3;
      std::string fault = ranks::fault_of<lk::value_error>([&] { (void)fit(data, settings, nothing, student, sgd{}); });
      if (!fault.empty()) EXPECT_ON_RANK(fault == "limbeck: " + named(comm, last) + "row 3 is bad");
      EXPECT_ON_RANK(comm.size() > 1 || !fault.empty());
      lk::fit_settings skipping = settings;
      skipping.skip_bad_steps = 5;
      const auto r = fit(data, skipping, nothing, student, sgd{});
      EXPECT_ON_RANK(r.skipped == lk::all_reduce_max(comm, r.skipped) && r.steps == 5);
      for (const double w : student.w) EXPECT_ON_RANK(lk::all_reduce_max(comm, w) == w && -lk::all_reduce_max(comm, -w) == w);
    }
    {
      shown student;
      const auto r = fit({}, settings, {3, [&](auto& run) { run.stop = comm.rank() == last; }}, student, sgd{});
      EXPECT_ON_RANK(r.stopped && r.steps == 3);
    }
    if (comm.size() == 1) return;
    {  // runs that are not one
      shown student;
      lk::fit_settings other = settings;
      if (comm.rank() == last) other.batch = 4;
      std::string fault = ranks::fault_of<lk::value_error>([&] { (void)fit({}, other, nothing, student, sgd{}); });
      EXPECT_ON_RANK(fault == "limbeck: " + named(comm, last) +
                                  "this run is not that of rank 0: it is of\nbatch = 4\nand not of\nbatch = 8");
      if (comm.rank() == last) student.w[0] = 1e-9;
      fault = ranks::fault_of<lk::value_error>([&] { (void)fit({}, settings, nothing, student, sgd{}); });
      EXPECT_ON_RANK(fault.find("it is of\nstudent's parameters = ") != std::string::npos);
      other = settings;
      if (comm.rank() == last) other.batch = 0;
      fault = ranks::fault_of<lk::value_error>([&] { (void)fit({}, other, nothing, student, sgd{}); });
      EXPECT_ON_RANK(fault == "limbeck: " + named(comm, last) + "batch is 0, expected at least 1");
    }
    for (const bool simultaneous : {false, true}) {  // pupils' messages do not meet others
      shown a, b;
      refusing first(comm.rank() == last ? 2U : 0U);
      lk::mutual_trainer both{lk::pupil{a, lk::forward_kl{}, first}, lk::pupil{b, lk::forward_kl{}, sgd{}}};
      both.simultaneous = simultaneous;
      const std::string fault = ranks::fault_of<std::runtime_error>([&] { (void)both.fit(points{}, {.steps = 4, .ranks = comm}); });
      EXPECT_ON_RANK(fault == "limbeck: " + named(comm, last) + "no such step");
    }
    {  // a hook's fault is its rank's own
      model student;
      const lk::training_ranks failing(comm, [] { throw std::logic_error("no network"); });
      lk::trainer run{student, teacher{}, lk::mse{}, hidden_sgd{}};
      const std::string fault =
          ranks::fault_of<std::logic_error>([&] { (void)run.fit(unweighed{}, {.steps = 4, .skip_bad_steps = 2, .ranks = failing}); });
      EXPECT_ON_RANK(fault == "no network");
    }
    {  // what is learned begins as one, samplers draw the same, and each row is evaluated
      two_outputs student;
      lk::temperature_parameter<double> tau(2 + comm.rank());
      const auto loss = lk::at<"labelled">(lk::cross_entropy{}) + lk::at<"logits">(lk::at_temperature(lk::learned(tau), lk::forward_kl{}));
      lk::trainer learning{student, lk::outputs{lk::output<"logits">(teacher{})}, loss, sgd{}};
      std::string fault = ranks::fault_of<lk::value_error>([&] { (void)learning.fit(labelled_points{}, {.steps = 1, .ranks = comm}); });
      EXPECT_ON_RANK(fault.starts_with("limbeck: " + named(comm, 1) +
                                       "this run is not that of rank 0: it is of\nwhat the objective learns = "));
      shown other;
      unweighed data;
      lk::trainer run{other, teacher{}, lk::mse{}, sgd{}};
      const auto own = [&](const lk::draw_request& r) {
        return std::vector<std::size_t>{3, r.step < 2 ? 0U : comm.rank() == last ? 1U : 2U};
      };
      fault = ranks::fault_of<std::runtime_error>([&] { (void)run.fit(lk::drawn_by(own, data), {.steps = 4, .ranks = comm}); });
      EXPECT_ON_RANK(fault.find("at step 2 the ranks drew different rows") != std::string::npos);
      struct : points {
        bool owns(std::size_t row) const { return row % 5 == 0; }
      } common;
      fault = ranks::fault_of<lk::value_error>([&] { (void)lk::evaluate(other, common, 4, comm); });
      EXPECT_ON_RANK(fault.find("has 20 rows, of which the ranks own " + std::to_string(4 * comm.size())) != std::string::npos);
    }
    model bare;
    std::string fault = ranks::fault_of<lk::value_error>([&] { (void)fit({}, settings, nothing, bare, hidden_sgd{}); });
    EXPECT_ON_RANK(fault.find("the student has no gradients(), a range of spans") != std::string::npos);
    shown student;
    lk::fit_settings together = settings;
    together.ranks = comm;
    unweighed data;
    lk::trainer relating{student, teacher{}, lk::rkd_distance{}, sgd{}};
    fault = ranks::fault_of<lk::value_error>([&] { (void)relating.fit(data, together); });
    EXPECT_ON_RANK(fault.find("rkd_distance relates all rows of a batch and cannot be summed over parts of it") != std::string::npos);
    in_shards orphaned;
    orphaned.size_of_all = comm.size(), orphaned.rank = comm.rank() == 0 ? 99 : comm.rank();
    lk::trainer run{student, teacher{}, lk::mse{}, sgd{}};
    fault = ranks::fault_of<lk::value_error>([&] { (void)run.fit(orphaned, together); });
    EXPECT_ON_RANK(fault.find("each row is owned by one rank") != std::string::npos);
  });
}
#endif
