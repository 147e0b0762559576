// at_layers: losses over lists of layers give the numbers of calls by name and by hand, and say what is wrong by name.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr std::size_t n = 5, width = 4, classes = 3;
using input = lk::rows<const double>;

/// Numbers for lists of layers.
struct layers {
  std::vector<std::vector<double>> memory;
  std::vector<input> all;
  layers(std::size_t count, std::size_t columns, std::uint64_t seed) : memory(count) {
    lk::random_stream random(seed);
    for (auto& m : memory) {
      m.resize(n * columns);
      for (double& x : m) x = random.normal();
      all.emplace_back(m.data(), n, columns);
    }
  }
};
/// Where the gradients of layers go.
struct slopes {
  std::vector<std::vector<double>> memory;
  std::vector<lk::rows<double>> all;
  slopes(std::size_t count, std::size_t columns, double initial = 7)
      : memory(count, std::vector<double>(n * columns, initial)) {
    for (auto& m : memory) all.emplace_back(m.data(), n, columns);
  }
};

const layers s(3, width, 1), t(6, width, 2), z(1, classes, 3), u(1, classes, 4);
const std::vector<int> labels{0, 2, 1, 1, 0};

auto student() { return lk::outputs{lk::output<"logits">(z.all[0]), lk::output<"hidden">(s.all)}; }
auto teacher() { return lk::outputs{lk::output<"logits">(u.all[0]), lk::output<"hidden">(t.all)}; }

}  // namespace

TEST_CASE("layers at run time are layers by name", "[layers]") {
  const auto kd = lk::cross_entropy{} + 0.5 * lk::forward_kl{};
  const auto each = lk::hint{} + 0.25 * lk::mse{};
  const auto map = lk::layer_map::evenly(3, 6);

  const auto by_name = kd + 0.1 * (lk::at<"a">(each) + lk::at<"b">(each) + lk::at<"c">(each));
  slopes g(1, classes), h(3, width);
  const auto mine = lk::outputs{lk::output<"logits">(z.all[0]), lk::output<"a">(s.all[0]), lk::output<"b">(s.all[1]),
                                lk::output<"c">(s.all[2])};
  const auto theirs = lk::outputs{lk::output<"logits">(u.all[0]), lk::output<"a">(t.all[1]), lk::output<"b">(t.all[3]),
                                  lk::output<"c">(t.all[5])};
  auto gradients = lk::outputs{lk::output<"logits">(g.all[0]), lk::output<"a">(h.all[0]), lk::output<"b">(h.all[1]),
                               lk::output<"c">(h.all[2])};
  const lk::evaluation expected = by_name(mine, theirs, labels, lk::into(gradients));

  const auto objective = kd + 0.1 * lk::at_layers<"hidden">(map, each);
  slopes own_g(1, classes), own_h(3, width);
  auto own = lk::outputs{lk::output<"logits">(own_g.all[0]), lk::output<"hidden">(own_h.all)};
  lk::workspace ws;
  const lk::evaluation got = objective(student(), teacher(), labels, lk::into(own), ws);
  CHECK(got.loss == Approx(expected.loss).epsilon(1e-14));
  CHECK(got.rows == n);
  CHECK(own_g.memory == g.memory);
  CHECK(own_h.memory == h.memory);
  CHECK(objective.value(student(), teacher(), labels) == got.loss);

  const auto made = objective(student(), teacher(), labels);  // its own gradients: lists too
  CHECK(made.gradient.of<"hidden">()[1] == h.memory[1]);

  objective(student(), teacher(), labels, lk::add_to(own), ws);
  for (std::size_t i = 0; i < n * width; ++i) CHECK(own_h.memory[2][i] == Approx(2 * h.memory[2][i]).epsilon(1e-14));

  const std::size_t held = ws.size();
  objective(student(), teacher(), labels, lk::into(own), ws);
  CHECK(ws.size() == held);
  CHECK(own_h.memory == h.memory);
}

TEST_CASE("layers: a loss a pair, names, schedules, arguments of the list", "[layers]") {
  const lk::layer_map map{{0, 5}, {2, 0}};
  const auto weighed = lk::at_layers<"hidden">(map, [](const lk::layer_pair& p) { return p.student == 0 ? 1.0 * lk::mse{} : 3.0 * lk::mse{}; });
  const auto one = [](std::size_t i, std::size_t j, const auto&... more) {
    return lk::objective(lk::mse{}).value(s.all[i], t.all[j], more...);
  };
  const auto mine = student();
  const auto theirs = teacher();
  CHECK(weighed.value(mine, theirs) == Approx(one(0, 5) + 3 * one(2, 0)).epsilon(1e-14));
  CHECK((lk::linear(1.0, 3.0) * lk::named<"h">(weighed)).value(mine, theirs, lk::progress(0.5)) ==
        Approx(2 * one(0, 5) + 6 * one(2, 0)).epsilon(1e-14));

  const std::vector<float> weights{1, 0, 2, 0, 1}, others{0, 1, 0, 0, 0};
  CHECK(weighed.value(mine, theirs, lk::at<"hidden">(lk::row_weights(weights)), lk::row_weights(others)) ==
        Approx(one(0, 5, lk::row_weights(weights)) + 3 * one(2, 0, lk::row_weights(weights))).epsilon(1e-14));
  CHECK(weighed.value(mine, theirs, lk::row_weights(others)) ==
        Approx(one(0, 5, lk::row_weights(others)) + 3 * one(2, 0, lk::row_weights(others))).epsilon(1e-14));

  slopes h(3, width), g(1, classes);  // the layer in no pair and the output that nobody reads: zeros
  auto where = lk::outputs{lk::output<"logits">(g.all[0]), lk::output<"hidden">(h.all)};
  const lk::evaluation e = weighed(mine, theirs, lk::into(where));
  CHECK(e.rows == n);
  CHECK(h.memory[1] == std::vector<double>(n * width, 0.0));
  CHECK(g.memory[0] == std::vector<double>(n * classes, 0.0));

  // two lists of pairs, the same layer in both; one tensor that teaches all; a loss that reads no teacher; no pair at all
  const auto twice = weighed + lk::at_layers<"hidden">({{0, 0}, {0, 1}}, lk::mse{});
  CHECK(twice.value(mine, theirs) == Approx(weighed.value(mine, theirs) + one(0, 0) + one(0, 1)).epsilon(1e-14));
  const auto last = lk::outputs{lk::output<"last">(t.all[5])};
  CHECK(lk::at_layers<"hidden", "last">(lk::layer_map::all_to_one(3, 0), lk::mse{}).value(mine, last) ==
        Approx(one(0, 5) + one(1, 5) + one(2, 5)).epsilon(1e-14));
  CHECK(lk::at_layers<"hidden">(lk::layer_map::all_to_one(3, 0), lk::out_of_domain_penalty{}).value(mine) > 0);
  CHECK((lk::cross_entropy{} + lk::at_layers<"hidden">(lk::layer_map{}, lk::mse{})).value(mine, theirs, labels) ==
        lk::objective(lk::cross_entropy{}).value(z.all[0], labels));

  const std::string report = [&] {
    std::string text;
    const auto terms = weighed.report(mine, theirs).terms();
    for (const auto& line : terms) text += line.name + '\n';
    return text;
  }();
  CHECK(report.find(", layer 2 of 0") != std::string::npos);
  CHECK(weighed.plan().str().find("the student's layers \"hidden\", the teacher's \"hidden\": 0 of 5, 2 of 0") !=
        std::string::npos);
  std::size_t holds = 0;
  lk::projection<double> p(width, width), q(width, width);
  const std::array<lk::projection<double>*, 2> bridges{&p, &q};
  const auto bridged = lk::at_layers<"hidden">(lk::layer_map::evenly(2, 6), [&](const lk::layer_pair& pair) {
    return lk::projected(*bridges[pair.student], lk::feature_mse{});
  });
  lk::for_each_learned(0.5 * bridged, [&](auto& part) { holds += &part == bridges[holds]; });
  CHECK(holds == 2);
  CHECK(bridged.plan().str().find("at the first pair of the student's layers") != std::string::npos);
  CHECK(weighed.plan().str().find("at each pair of the student's layers") == std::string::npos);
}

TEST_CASE("each layer learns from the nearest ones, which go through a learned map", "[layers]") {
  // MLKD-OOD: the KL of the logits, and for each layer of the student and each sample the two nearest of the teacher's
  const std::size_t theirs = 6;
  std::vector<double> side_by_side(n * width * theirs);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < width; ++c)
      for (std::size_t j = 0; j < theirs; ++j) side_by_side[(r * width + c) * theirs + j] = t.all[j](r, c);
  const input stack(side_by_side.data(), n, width * theirs);
  lk::projection<double> w(width, width, lk::xavier{.seed = 5});
  const auto objective =
      lk::forward_kl{} + lk::at_layers<"hidden", "stack">(
                             lk::layer_map::all_to_one(3, 0),
                             lk::through(lk::identity{}, lk::at_positions(w, theirs), lk::nearest_layers{.layers = theirs, .k = 2}));
  const auto mine = student();
  const auto taught = lk::outputs{lk::output<"logits">(u.all[0]), lk::output<"stack">(stack)};
  const auto naive = [&] {
    long double total = lk::objective(lk::forward_kl{}).value(z.all[0], u.all[0]);
    const std::span<const double> weights = w.parameters()[0];
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t r = 0; r < n; ++r) {
        std::vector<long double> apart(theirs);
        for (std::size_t j = 0; j < theirs; ++j)
          for (std::size_t c = 0; c < width; ++c) {
            long double mapped = 0;
            for (std::size_t d = 0; d < width; ++d) mapped += static_cast<long double>(weights[c * width + d] * t.all[j](r, d));
            apart[j] += (s.all[i](r, c) - mapped) * (s.all[i](r, c) - mapped) / width / n;
          }
        std::sort(apart.begin(), apart.end());
        total += apart[0] + apart[1];
      }
    return static_cast<double>(total);
  };
  const std::vector<float> first{1, 1, 0, 0, 0}, others{0, 0, 1, 1, 1};  // parts of a batch
  CHECK(objective.value(mine, taught, lk::row_weights(first), lk::mean_over(5)) +
            objective.value(mine, taught, lk::row_weights(others), lk::mean_over(5)) ==
        Approx(naive()).epsilon(1e-13));
  slopes h(3, width), g(1, classes);
  auto where = lk::outputs{lk::output<"logits">(g.all[0]), lk::output<"hidden">(h.all)};
  w.zero_gradients();
  CHECK(objective(mine, taught, lk::into(where)).loss == Approx(naive()).epsilon(1e-13));
  const std::span<double> weights = w.parameters()[0], learned = w.gradients()[0];
  for (std::size_t i = 0; i < weights.size(); i += 3) {
    const double held = weights[i];
    weights[i] = held + 1e-6;
    const double up = naive();
    weights[i] = held - 1e-6;
    const double down = naive();
    weights[i] = held;
    CHECK(learned[i] == Approx((up - down) / 2e-6).epsilon(1e-6).margin(1e-8));
  }
}

TEST_CASE("layers: what is wrong is named", "[layers]") {
  const auto mine = student();
  const auto theirs = teacher();
  CHECK_THROWS_WITH(lk::at_layers<"hidden">(lk::layer_map::evenly(4, 6), lk::mse{}).value(mine, theirs),
                    "limbeck: pair 3 of at_layers names layer 3 of the student's \"hidden\", which are 3, counted from 0");
  CHECK_THROWS_WITH(lk::at_layers<"hidden">(lk::layer_map::evenly(3, 12), lk::mse{}).value(mine, theirs),
                    "limbeck: pair 1 of at_layers names layer 7 of the teacher's \"hidden\", which are 6, counted from 0");
  slopes h(2, width), g(1, classes);
  auto few = lk::outputs{lk::output<"logits">(g.all[0]), lk::output<"hidden">(h.all)};
  CHECK_THROWS_WITH(lk::at_layers<"hidden">(lk::layer_map::evenly(3, 6), lk::mse{})(mine, theirs, lk::into(few)),
                    "limbeck: pair 2 of at_layers names layer 2 of the gradient's \"hidden\", which are 2, counted from 0");

  lk::projection<double> w(width, width);  // what learns has got nothing where a later pair is not there
  const auto late = lk::at_layers<"hidden">(lk::layer_map::evenly(3, 6), lk::projected(w, lk::feature_mse{})) +
                    lk::at_layers<"hidden">(lk::layer_map::evenly(3, 12), lk::mse{});
  slopes all(3, width);
  auto where = lk::outputs{lk::output<"logits">(g.all[0]), lk::output<"hidden">(all.all)};
  CHECK_THROWS_AS(late(mine, theirs, lk::into(where)), lk::value_error);
  const std::span<double> learned = w.gradients()[0];
  for (const double v : learned) CHECK(v == 0);
  CHECK(all.memory[0][0] == 7);
}
