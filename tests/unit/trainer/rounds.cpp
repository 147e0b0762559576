// Active learning and self-training: the rounds, their state, and what a wrong selector or oracle is told.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/selection/top_per_class.hpp>
#include <limbeck/driver/active_rounds.hpp>
#include <limbeck/driver/self_training.hpp>

#include <algorithm>
#include <csignal>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Message;
using rows = std::vector<std::size_t>;

const std::vector<float> pool_memory(20 * 2, 0.5f);
const lk::rows<const float> pool(pool_memory.data(), 20, 2);

/// Rows at random among those not labelled.
struct at_random {
  template <class Pool>
  rows operator()(const Pool&, const lk::query& q) const {
    lk::random_stream r(q.seed);
    rows chosen;
    while (chosen.size() < q.budget) {
      const std::size_t row = r.below(20);
      if (std::find(q.labelled.begin(), q.labelled.end(), row) == q.labelled.end() &&
          std::find(chosen.begin(), chosen.end(), row) == chosen.end())
        chosen.push_back(row);
    }
    return chosen;
  }
};
const auto oracle = [](std::span<const std::size_t> which) {
  std::vector<int> y;
  for (const std::size_t r : which) y.push_back(static_cast<int>(r % 3));
  return y;
};
const auto the_pool = [] { return pool; };

TEST_CASE("rounds of active learning", "[active]") {
  std::vector<std::size_t> sizes;
  const auto train = [&](std::span<const std::size_t> which, std::span<const int> labels, std::size_t round) {
    sizes.push_back(which.size());
    for (std::size_t i = 0; i < which.size(); ++i) CHECK(labels[i] == static_cast<int>(which[i] % 3));
    lk::metric_list m;
    m.set("rows", static_cast<double>(which.size()));
    m.set("round", static_cast<double>(round));
    return m;
  };
  const auto r = lk::active_rounds({.rounds = 4, .budget = 3, .seed = 5}, {7, 2}, train, the_pool, at_random{}, oracle);
  CHECK(sizes == rows{2, 5, 8, 11});
  CHECK(r.rounds.size() == 4);
  CHECK(r.rounds[3]["rows"] == 11);
  CHECK(r.rounds[3]["round"] == 3);
  CHECK(r.labelled.size() == 11);
  CHECK(r.labelled[0] == 7);
  CHECK(r.labels.size() == 11);
  const auto other =
      lk::active_rounds({.rounds = 4, .budget = 3, .seed = 6}, {7, 2}, train, the_pool, at_random{}, oracle);
  CHECK(other.labelled != r.labelled);
}

TEST_CASE("rounds that are interrupted go on as if nothing had been", "[active]") {
  toy::temporary file("active.ckpt");
  const auto program = [&](const lk::active_settings& s, std::size_t stop) {
    return lk::active_rounds(
        s, {1},
        [&](std::span<const std::size_t> which, std::span<const int>, std::size_t round) {
          if (round == stop) std::raise(SIGINT);
          double total = 0;
          for (const std::size_t r : which) total += static_cast<double>(r);
          return total;
        },
        the_pool, at_random{}, oracle);
  };
  const auto never = program({.rounds = 5, .budget = 2, .seed = 3}, 99);
  const lk::active_settings saved{.rounds = 5, .budget = 2, .seed = 3, .checkpoint = file.path};
  for (const std::size_t stop : {0U, 2U, 4U}) {
    file.clear();
    const auto stopped = program(saved, stop);
    CHECK(stopped.interrupted);
    CHECK(stopped.rounds.size() == stop);
    const auto resumed = program(saved, 99);
    CHECK_FALSE(resumed.interrupted);
    CHECK(resumed.labelled == never.labelled);
    CHECK(resumed.labels == never.labels);
    REQUIRE(resumed.rounds.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) CHECK(resumed.rounds[i]["score"] == never.rounds[i]["score"]);
  }
  CHECK_THROWS_AS(program({.rounds = 5, .budget = 3, .seed = 3, .checkpoint = file.path}, 99), lk::checkpoint_error);
}

TEST_CASE("rounds take what is left, and end where nothing is", "[active]") {
  const toy::temporary file("limbeck_exhausted");
  int trainings = 0;
  const auto run = [&](std::size_t rounds, std::size_t budget, auto selector) {
    return lk::active_rounds(
        {.rounds = rounds, .budget = budget, .checkpoint = file.path}, {0, 1, 2, 3}, [&](auto&&...) { ++trainings; }, the_pool,
        selector, oracle);
  };
  const auto all = run(4, 9, at_random{});  // 4 + 9 + 7 of 20
  CHECK(all.labelled.size() == 20);
  CHECK(all.labels.size() == 20);
  CHECK(all.rounds.size() == 3);
  CHECK(all.exhausted);
  CHECK(trainings == 3);
  const auto again = run(4, 9, at_random{});  // it has ended: nothing is trained
  CHECK((again.labelled == all.labelled && again.exhausted && trainings == 3));
  std::filesystem::remove(file.path);
  // a selector that is content
  const auto few = run(3, 5, [](const auto&, const lk::query& q) { return q.labelled.size() == 4 ? rows{7, 9} : rows{}; });
  CHECK(few.labelled == rows{0, 1, 2, 3, 7, 9});
  CHECK((few.rounds.size() == 2 && few.exhausted));
  std::filesystem::remove(file.path);
  CHECK_FALSE(run(2, 5, at_random{}).exhausted);
}

TEST_CASE("wrong rounds are named", "[active]") {
  rows answer;
  const auto selector = [&](const lk::rows<const float>&, const lk::query&) { return answer; };
  const auto run = [&](rows chosen, rows seeds = {3}, lk::active_settings s = {.rounds = 2, .budget = 2}) {
    answer = chosen;
    return lk::active_rounds(
        s, seeds, [](auto&&...) {}, the_pool, selector, oracle);
  };
  CHECK(run({4, 5}).labelled == rows{3, 4, 5});
  CHECK_THROWS_MATCHES(run({4, 5, 6}), lk::value_error, Message("limbeck: the selector chose 3 rows, the budget is 2"));
  CHECK_THROWS_MATCHES(run({4, 20}), lk::value_error,
                       Message("limbeck: the selector chose row 20 of a pool of 20 rows"));
  CHECK_THROWS_MATCHES(run({4, 3}), lk::value_error,
                       Message("limbeck: the selector chose row 3, which is labelled or chosen already"));
  CHECK_THROWS_MATCHES(run({4, 4}), lk::value_error,
                       Message("limbeck: the selector chose row 4, which is labelled or chosen already"));
  CHECK_THROWS_MATCHES(run({4, 5}, {}), lk::value_error,
                       Message("limbeck: there is no labelled row to begin with; choose some at random"));
  CHECK_THROWS_MATCHES(run({4, 5}, {1, 3, 1}), lk::value_error, Message("limbeck: seed_rows has row 1 twice"));
  CHECK_THROWS_MATCHES(run({4, 5}, {1}, {.rounds = 0}), lk::value_error,
                       Message("limbeck: rounds is 0, expected at least 1"));
  CHECK_THROWS_MATCHES(lk::active_rounds(
                           {.rounds = 2}, {1}, [](auto&&...) {}, the_pool, at_random{},
                           [](auto&&) {
                             return std::vector<int>{1, 2};
                           }),
                       lk::shape_error, Message("limbeck: the oracle's answer has 2 elements, expected 1 (one a row)"));
}

TEST_CASE("confident pseudo-labels, hard and soft", "[self-training]") {
  const std::vector<double> logits{0, 0, 3, 0, -5, 1};  // 0.5; 0.9526; 0.9975
  const lk::rows<const double> x(logits.data(), 3, 2);
  const auto all = lk::confident_labels{}(x);
  CHECK(all.rows == rows{0, 1, 2});
  CHECK(all.labels == std::vector<int>{0, 0, 1});
  CHECK(all.probabilities.empty());
  const auto sure = lk::confident_labels{.threshold = 0.95, .soft = true}(x);
  CHECK(sure.rows == rows{1, 2});
  CHECK(sure.labels == std::vector<int>{0, 1});
  CHECK(sure.classes == 2);
  REQUIRE(sure.probabilities.size() == 4);
  CHECK(sure.probabilities[0] == Approx(1 / (1 + std::exp(-3.0))));
  CHECK(sure.probabilities[2] == Approx(1 / (1 + std::exp(6.0))));
  CHECK_THROWS_MATCHES(lk::confident_labels{.threshold = 1.5}(x), lk::value_error,
                       Message("limbeck: confident_labels::threshold is 1.5, expected a number in [0, 1]"));
}

/// A "network" of one number.
struct number {
  std::vector<double> w{1};
  std::vector<std::span<double>> parameters() { return {std::span(w)}; }
};

TEST_CASE("generations: each student is the next teacher, and they are resumed", "[self-training]") {
  toy::temporary file("generations.ckpt");
  const auto program = [&](const lk::self_training_settings& s, std::size_t stop) {
    number teacher;
    const auto result = lk::self_training(
        s, teacher,
        [&](double chosen, std::size_t generation) {
          if (generation == stop) std::raise(SIGTERM);
          return number{{chosen + static_cast<double>(generation)}};
        },
        [](number& n) { return 2 * n.w[0]; }, [](double logits) { return 10 * logits; },
        [](number& n) { return n.w[0]; });
    return std::tuple(teacher.w[0], result.generations.size(), result.interrupted,
                      result.generations.empty() ? 0 : result.generations.back()["score"]);
  };
  CHECK(program({.generations = 1}, 0) == std::tuple(21.0, std::size_t{1}, false, 21.0));
  CHECK(program({.generations = 2}, 0) == std::tuple(422.0, std::size_t{2}, false, 422.0));
  const lk::self_training_settings saved{.generations = 3, .checkpoint = file.path};
  CHECK(program(saved, 3) == std::tuple(422.0, std::size_t{2}, true, 422.0));
  CHECK(program(saved, 0) == program({.generations = 3}, 0));
  CHECK(program(saved, 1) == program({.generations = 3}, 0));  // finished: nothing is trained
  CHECK_THROWS_MATCHES(program({.generations = 0}, 0), lk::value_error,
                       Message("limbeck: generations is 0, expected at least 1"));
}

}  // namespace

TEST_CASE("what is chosen may depend on the generation, and be the rows of top_per_class", "[self-training]") {
  number teacher{{1}};
  const auto result = lk::self_training(
      {.generations = 3}, teacher,
      [](const std::vector<lk::labelled_row>& chosen, std::size_t) {
        return number{{static_cast<double>(chosen.size())}};
      },
      [](number&) {  // logits over a pool of six rows and two classes
        return std::vector<double>{3, 0, 2, 0, 1, 0, 0, 1, 0, 2, 0, 3};
      },
      [](const std::vector<double>& logits, std::size_t generation) {
        return lk::top_per_class{.per_class = generation}(lk::rows<const double>(logits.data(), 6, 2));
      },
      [](number& n) { return n.w[0]; });
  REQUIRE(result.generations.size() == 3);
  CHECK(result.generations[0]["score"] == 2);
  CHECK(result.generations[1]["score"] == 4);
  CHECK(result.generations[2]["score"] == 6);
}

TEST_CASE("active distillation keeps what the oracle's logits are, and has a budget a round", "[trainer][rounds]") {
  const toy::temporary file("active_logits.ckpt");
  std::vector<double> truth(20 * 3);
  for (std::size_t i = 0; i < truth.size(); ++i) truth[i] = std::sin(static_cast<double>(3 * i));
  std::vector<double> asked;
  int answers = 0;
  const auto oracle = [&](std::span<const std::size_t> rows) {
    asked.clear();
    for (const std::size_t r : rows) asked.insert(asked.end(), truth.begin() + static_cast<std::ptrdiff_t>(3 * r), truth.begin() + static_cast<std::ptrdiff_t>(3 * r + 3));
    answers += static_cast<int>(rows.size());
    return lk::rows<const double>(asked.data(), rows.size(), 3);
  };
  std::vector<std::size_t> sizes;
  std::size_t dies_at = 2;
  const auto run = [&](const std::filesystem::path& where) {
    return lk::active_rounds(
        {.rounds = 5, .budgets = {2, 5}, .seed = 3, .checkpoint = where}, {1},
        [&](std::span<const std::size_t> rows, std::span<const int> labels, lk::rows<const float> logits, std::size_t round) {
          if (round == dies_at) throw std::runtime_error("the machine is gone");
          sizes.push_back(rows.size());
          REQUIRE(logits.samples == rows.size());
          for (std::size_t i = 0; i < rows.size(); ++i)
            for (std::size_t c = 0; c < 3; ++c) {
              CHECK(logits(i, c) == static_cast<float>(truth[3 * rows[i] + c]));
              CHECK(logits(i, c) <= logits(i, static_cast<std::size_t>(labels[i])));
            }
        },
        [&] { return lk::rows<const double>(truth.data(), 20, 3); }, lk::random_rows{}, oracle);
  };
  CHECK_THROWS_WITH(run(file.path), "the machine is gone");
  dies_at = 99;
  const auto r = run(file.path);
  CHECK(sizes == std::vector<std::size_t>{1, 3, 8, 13, 18});
  CHECK(answers == 18);  // none is asked twice
  CHECK(r.classes == 3);
  CHECK(r.logits.size() == 18 * 3);
}
