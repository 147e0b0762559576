// Layers whose number is known at run time, in the trainer: a learned projection each, micro-batches, resume.

#include "catch.hpp"
#include "stops.hpp"
#include "toy.hpp"

#include <limbeck/trainer.hpp>


namespace lk = limbeck;
using view = lk::rows<const double>;

namespace {

/// Layers side by side: each a linear map of the inputs; the last is the logits, too.
class stack {
 public:
  stack(std::size_t layers, std::uint64_t seed) {
    for (std::size_t i = 0; i < layers; ++i) all_.emplace_back(seed + i);
  }
  auto forward(const std::vector<double>& x) {
    hidden_.clear();
    for (toy::linear& l : all_) hidden_.push_back(l.forward(x));
    return lk::outputs{lk::output<"logits">(view(hidden_.back())), lk::output<"hidden">(hidden_)};
  }
  template <class Gradients>
  void backward(const Gradients& g) {
    all_.back().backward(g.template of<"logits">());
    const auto& slopes = g.template of<"hidden">();
    CHECK(slopes.size() == all_.size());
    for (std::size_t i = 0; i < slopes.size(); ++i) all_[i].backward(slopes[i]);
  }
  void zero_gradients() {
    for (toy::linear& l : all_) l.zero_gradients();
  }
  std::vector<std::span<double>> parameters() { return spans([](auto& l) { return l.parameters(); }); }
  std::vector<std::span<double>> gradients() {
    return spans([](auto& l) {
      auto& g = const_cast<std::vector<double>&>(l.gradients());
      return std::vector{std::span(g).first(toy::features * toy::classes), std::span(g).subspan(toy::features * toy::classes)};
    });
  }
  std::vector<double> weights() const {
    std::vector<double> all;
    for (const toy::linear& l : all_) all.insert(all.end(), l.weights().begin(), l.weights().end());
    return all;
  }

 private:
  template <class F>
  std::vector<std::span<double>> spans(const F& f) {
    std::vector<std::span<double>> all;
    for (toy::linear& l : all_)
      for (const auto s : f(l)) all.push_back(s);
    return all;
  }
  std::vector<toy::linear> all_;
  std::vector<view> hidden_;
};

using toy::momentum;

using toy::stops_at;

/// Two layers learn from four, each through a projection of its own; and what is left behind.
std::vector<double> run(const lk::layer_map& map, const lk::fit_settings& how, std::uint64_t stop = 0) {
  toy::clouds data(40);
  stack student(2, 1), teacher(4, 11);
  std::vector<lk::projection<double>> bridges;
  for (std::size_t i = 0; i < 2; ++i) bridges.emplace_back(toy::classes, toy::classes, lk::he{.seed = i});
  const auto objective = lk::cross_entropy{} + 0.5 * lk::at_layers<"hidden">(map, [&](const lk::layer_pair& p) {
    return lk::projected(bridges[p.student], lk::feature_mse{});
  });
  lk::trainer trainer{student, teacher, objective, momentum{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(trainer.fit(data, how, stops_at{stop}), "the machine is gone");
  } else {
    trainer.fit(data, how);
  }
  std::vector<double> all = student.weights();
  for (auto& b : bridges)
    for (const auto w : b.parameters()) all.insert(all.end(), w.begin(), w.end());
  return all;
}

}  // namespace

TEST_CASE("layers and their projections are trained, and a run goes on bit for bit", "[layers][trainer][resume]") {
  const auto map = lk::layer_map::evenly(2, 4);
  lk::fit_settings how{.epochs = 3, .batch = 16};
  const auto straight = run(map, how);
  CHECK(run(map.reversed(), how) != straight);

  // by hand, with names
  toy::clouds data(40);
  stack s(2, 1), t(4, 11);
  std::vector<std::size_t> rows(40);
  for (std::size_t i = 0; i < 40; ++i) rows[i] = i;
  lk::random_stream(0).split(0).shuffle(rows);
  const auto b = data.batch(rows);
  lk::projection<double> p(toy::classes, toy::classes, lk::he{.seed = 0}), q(toy::classes, toy::classes, lk::he{.seed = 1});
  const auto z = s.forward(b.inputs);
  const auto u = t.forward(b.inputs);
  const auto& mine = z.of<"hidden">();
  const auto& theirs = u.of<"hidden">();
  s.zero_gradients();
  const auto e = (lk::cross_entropy{} + lk::at<"a">(0.5 * lk::projected(p, lk::feature_mse{})) +
                  lk::at<"b">(0.5 * lk::projected(q, lk::feature_mse{})))(
      lk::outputs{lk::output<"logits">(z.of<"logits">()), lk::output<"a">(mine[0]), lk::output<"b">(mine[1])},
      lk::outputs{lk::output<"a">(theirs[1]), lk::output<"b">(theirs[3])}, b.labels);
  const auto slope = [&](const std::vector<double>& g) { return view(g.data(), 40, toy::classes); };
  const std::vector<view> slopes{slope(e.gradient.of<"a">()), slope(e.gradient.of<"b">())};
  s.backward(lk::outputs{lk::output<"logits">(slope(e.gradient.of<"logits">())), lk::output<"hidden">(slopes)});
  momentum of_student, of_p, of_q;
  of_student.step(s, lk::progress(0.0));
  of_p.step(p, lk::progress(0.0));
  of_q.step(q, lk::progress(0.0));
  std::vector<double> expected = s.weights();
  for (auto* bridge : {&p, &q})
    for (const auto w : bridge->parameters()) expected.insert(expected.end(), w.begin(), w.end());
  const auto once = run(map, {.steps = 1, .batch = 40});
  REQUIRE(once.size() == expected.size());
  for (std::size_t i = 0; i < once.size(); ++i) CHECK(once[i] == Approx(expected[i]).epsilon(1e-12).margin(1e-14));

  const toy::temporary file("layers.ckpt");
  how.checkpoint = file.path;
  how.checkpoint_every = 1;
  (void)run(map, how, 4);
  CHECK(run(map, how) == straight);
  CHECK(lk::checkpoint_file(file.path).entries().contains("learned/1/weights"));
  CHECK_THROWS_WITH(run(map.reversed(), how), Catch::Matchers::Contains("hidden 0 against hidden 3"));
}

TEST_CASE("losses of rows at layers are the same over micro-batches", "[layers][trainer]") {
  const auto weights = [](std::size_t micro) {
    toy::clouds data(24);
    stack student(3, 1), teacher(6, 11);
    const auto objective = lk::cross_entropy{} + lk::at_layers<"hidden">(lk::layer_map::evenly(3, 6), lk::mse{});
    lk::trainer trainer{student, teacher, objective, momentum{}};
    trainer.fit(data, {.steps = 3, .batch = 12, .micro_batch = micro});
    return student.weights();
  };
  const auto whole = weights(12), parts = weights(4);
  for (std::size_t i = 0; i < whole.size(); ++i) CHECK(parts[i] == Approx(whole[i]).epsilon(1e-12).margin(1e-14));
}
