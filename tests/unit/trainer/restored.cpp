// States of the library's own, restored from a file that is whole and lies: refused by name, and as they were.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/trainer/checkpoint.hpp>
#include <limbeck/trainer/early_stopping.hpp>
#include <limbeck/trainer/metrics.hpp>
#include <limbeck/driver/rounds.hpp>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Message;

struct named_values {
  std::string names;
  std::vector<double> values;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("names", names);
    archive("values", values);
  }
};
struct parameters {
  double best = 0;
  std::vector<double> kept;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("best", best);
    archive("kept", kept);
  }
};
struct counted {
  std::vector<std::uint64_t> counts;
  named_values metrics;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("metrics_of_a_round", counts);
    archive("metrics", metrics);
  }
};

TEST_CASE("metrics with more values than names", "[checkpoint]") {
  toy::temporary file("metrics.ckpt");
  lk::metric_list list;
  list.set("nll", 3);
  for (const char* names : {"", "a", "a\n", "a\nb\nc\n"}) {
    named_values lie{names, {1, 2}};
    lk::save_checkpoint(file.path, lie);
    CHECK_THROWS_AS(lk::load_checkpoint(file.path, list), lk::value_error);
  }
  CHECK(list.all() == std::vector<std::pair<std::string, double>>{{"nll", 3.0}});
  named_values truth{"a\nb\n", {1, 2}};
  lk::save_checkpoint(file.path, truth);
  lk::load_checkpoint(file.path, list);
  CHECK(list["b"] == 2);
}

TEST_CASE("parameters of another model", "[checkpoint]") {
  toy::temporary file("kept.ckpt");
  toy::linear model;
  lk::keep_best best(model);
  std::size_t numbers = 0;
  for (const auto part : model.parameters()) numbers += part.size();
  parameters lie{1, std::vector<double>(numbers - 1, 0.5)};
  lk::save_checkpoint(file.path, lie);
  CHECK_THROWS_MATCHES(lk::load_checkpoint(file.path, best), lk::value_error,
                       Message("limbeck: keep_best restored " + std::to_string(numbers - 1) +
                               " numbers, the model has " + std::to_string(numbers)));
  lie.kept.push_back(0.5);
  lk::save_checkpoint(file.path, lie);
  lk::load_checkpoint(file.path, best);
  CHECK(best.best() == 1);
}

TEST_CASE("rounds that count more metrics than there are", "[checkpoint]") {
  toy::temporary file("rounds.ckpt");
  std::vector<lk::metric_list> rounds(1);
  lk::detail::rounds_state state(rounds, [](auto&) {});
  counted lie{{1, 5}, {"0 nll\n1 nll\n", {1, 2}}};
  lk::save_checkpoint(file.path, lie);
  CHECK_THROWS_MATCHES(lk::load_checkpoint(file.path, state), lk::value_error,
                       Message("limbeck: the restored rounds count more metrics than the 2 that are there"));
  CHECK(rounds.size() == 1);
}

}  // namespace
