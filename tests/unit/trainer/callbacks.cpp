// Hooks run in order, a callback ends a run; early stopping, the best parameters, the table, the bar.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/trainer/csv_metrics.hpp>
#include <limbeck/trainer/early_stopping.hpp>
#include <limbeck/trainer/progress_bar.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <algorithm>
#include <sstream>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;
using Catch::Matchers::Message;

TEST_CASE("hooks run in order, and a callback ends a run", "[trainer]") {
  std::string seen;
  struct all_hooks {
    std::string& seen;
    char name;
    void begin(lk::training_run&) { seen += {name, 'b', ' '}; }
    void after_step(lk::training_run& r) { seen += {name, 's', static_cast<char>('0' + r.step), ' '}; }
    void after_epoch(lk::training_run& r) { seen += {name, 'e', static_cast<char>('0' + r.epoch), ' '}; }
    void end(lk::training_run&) { seen += {name, 'x', ' '}; }
  };
  struct stopper {
    void after_step(lk::training_run& r) { r.stop = r.step == 3; }
  };
  toy::clouds data(4);
  toy::linear student;
  all_hooks a{seen, 'a'}, b{seen, 'b'};
  const auto r = lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(
      data, {.epochs = 5, .batch = 2}, a, stopper{}, b);
  CHECK(seen == "ab bb as1 bs1 as2 bs2 ae1 be1 as3 bs3 ax bx ");
  CHECK(r.stopped);
  CHECK(r.steps == 3);
  CHECK(r.epochs == 1);
}

TEST_CASE("early stopping and the best parameters", "[trainer]") {
  struct scripted {  // reports this, and marks the parameters with the epoch
    std::vector<double> values;
    toy::linear& model;
    void begin(lk::training_run& r) { r.metrics.set("score", std::nan("")); }
    void after_epoch(lk::training_run& r) {
      r.metrics.set("score", values[r.epoch - 1]);
      model.set(0, static_cast<double>(r.epoch));
    }
  };
  struct still {
    void step(toy::linear&, lk::progress) {}
  };
  toy::clouds data(4);
  toy::linear student;
  const double none = std::nan("");
  const auto fit = [&](std::vector<double> values, lk::early_stopping stop) {
    const bool lower = stop.lower_is_better;
    lk::keep_best best(student, {.metric = "score", .lower_is_better = lower});
    const auto r = lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, still{}}.fit(
        data, {.epochs = 6, .batch = 4}, scripted{values, student}, stop, best);
    return std::pair(r.epochs, student.weights()[0]);
  };
  using pair = std::pair<std::uint64_t, double>;
  CHECK(fit({1, 3, 2, 3, 2, 9}, {.metric = "score", .patience = 2}) == pair(5, 2));
  CHECK(fit({1, 3, 2, 3, 4, 4}, {.metric = "score", .patience = 2}) == pair(6, 5));
  CHECK(fit({5, 4, 4, 4, 4, 1}, {.metric = "score", .lower_is_better = true, .patience = 1}) == pair(4, 2));
  CHECK(fit({1, none, none, none, 2, none}, {.metric = "score", .patience = 1}) == pair(6, 5));
  CHECK(fit({1, 1.1, 1.2, 1.3, 1.4, 1.5}, {.metric = "score", .patience = 2, .by = 0.25}) == pair(6, 6));
  CHECK_THROWS_MATCHES(fit({1, 1, 1, 1, 1, 1}, {.metric = "acuracy"}), lk::value_error,
                       Message("limbeck: early_stopping watches 'acuracy', which no callback before it reports (there "
                               "are: score)"));
}

lk::training_run at(std::uint64_t step, bool end_of_epoch = false) {
  lk::training_run r;
  r.step = step;
  r.steps = 10;
  r.epoch = step / 5;
  r.end_of_epoch = end_of_epoch;
  r.loss = 0.1 * static_cast<double>(step);
  r.epoch_loss = 0.25;
  return r;
}

TEST_CASE("the table", "[callbacks]") {
  toy::temporary file("table.csv");
  lk::csv_metrics table(file.path, 2);
  auto r = at(0);
  table.begin(r);
  for (std::uint64_t n = 1; n <= 5; ++n) {
    r = at(n, n == 5);
    r.metrics.set("a,b", n == 5 ? 0.5 : std::nan(""));
    table.after_step(r);
    if (n == 5) table.after_epoch(r);
  }
  const std::string expected = "step,epoch,loss,epoch_loss,\"a,b\"\n2,0,0.2,0.25,\n4,0,0.4,0.25,\n5,1,0.5,0.25,0.5\n";
  CHECK(lk::detail::read_file(file.path) == expected);  // while it is open: each row is flushed
  r = at(10, true);
  CHECK_THROWS_MATCHES(table.after_epoch(r), lk::value_error,
                       Message("limbeck: '" + file.path.string() +
                               "' has the columns step,epoch,loss,epoch_loss,\"a,b\", and this row "
                               "step,epoch,loss,epoch_loss; report every metric (as NaN) in begin(run)"));
  table.end(r);
  lk::detail::write_atomically(file.path, {expected, "6,1,0."});  // killed in the middle of a row
  r = at(4);
  r.resumed_from = 4;
  lk::csv_metrics(file.path).begin(r);
  CHECK(lk::detail::read_file(file.path) == "step,epoch,loss,epoch_loss,\"a,b\"\n2,0,0.2,0.25,\n4,0,0.4,0.25,\n");
  r = at(0);
  lk::csv_metrics(file.path).begin(r);
  CHECK(lk::detail::read_file(file.path).empty());
}

TEST_CASE("quotes in the name of a metric are doubled", "[callbacks]") {
  toy::temporary file("quotes.csv");
  lk::csv_metrics table(file.path);
  auto r = at(1, true);
  r.metrics.set("the \"best\"", 1);
  table.begin(r);
  table.after_epoch(r);
  table.end(r);
  CHECK_THAT(lk::detail::read_file(file.path), Contains(",\"the \"\"best\"\"\"\n"));
}

struct measures_once {
  void begin(lk::training_run& r) { r.metrics.set("once", std::nan("")); }
  void after_step(lk::training_run& r) {
    if (r.step == 2) r.metrics.set("once", 7);
  }
};
TEST_CASE("a metric that is not measured again keeps its last value", "[callbacks]") {
  toy::clouds data(20);
  toy::linear student(3);
  const auto r = lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(data, {.batch = 5},
                                                                                           measures_once{});
  CHECK(r.metrics["once"] == 7);
}

TEST_CASE("the bar: on a terminal only", "[callbacks]") {
  std::ostringstream out;
  const auto draw = [&](bool shown, std::uint64_t from, std::uint64_t to) {
    out.str("");
    lk::progress_bar bar(out, shown);
    auto r = at(from);
    bar.begin(r);
    while (r.step < to) {
      ++r.step;
      bar.after_step(r);
    }
    bar.end(r);
    const std::string text = out.str();
    return std::count(text.begin(), text.end(), '*');
  };
  CHECK(draw(true, 0, 10) == 51);
  CHECK(out.str().find("0%   10   20") != std::string::npos);
  CHECK(draw(true, 4, 10) == 51);
  CHECK(draw(true, 0, 5) < 30);
  CHECK(draw(false, 0, 10) == 0);
  CHECK(out.str().empty());
}

}  // namespace
