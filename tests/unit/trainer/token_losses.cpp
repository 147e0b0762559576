// Losses of tokens in the trainer: a temperature against the student, and all that a token can have at once.

#include "catch.hpp"
#include "reference.hpp"
#include "stops.hpp"
#include "toy.hpp"

#include <limbeck/trainer.hpp>

#include <algorithm>
#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// Of a model whose gradients are a vector, or spans as its parameters.
struct descent {
  template <class Model>
  void step(Model& m, lk::progress) {
    auto&& gradients = m.gradients();
    auto g = gradients.begin();
    for (auto&& part : m.parameters()) {
      for (double& w : part)
        if constexpr (requires { w -= *g; }) {
          w -= 0.3 * *g++;
        } else {
          w -= 0.3 * (*g)[static_cast<std::size_t>(&w - part.data())];
        }
      if constexpr (!requires(double x) { x -= *g; }) ++g;
    }
  }
};

struct left {
  std::vector<double> student;
  double temperature;
  bool operator==(const left&) const = default;
};
const auto strength = lk::sequence(lk::cosine(0, 1), 0.5, 1.0);

left against(const lk::fit_settings& how, bool reversed = true, std::uint64_t stop = 0) {
  toy::clouds data(40);
  toy::linear student(1);
  lk::temperature_parameter<double> tau(3, {1, 5});
  const auto run = [&](const auto& temperature) {
    lk::trainer trainer{student, toy::linear(5), lk::cross_entropy{} + 4 * lk::unscaled(lk::at_temperature(temperature, lk::forward_kl{})),
                        descent{}, toy::momentum{.rate = 5}};
    if (stop > 0) {
      CHECK_THROWS_WITH(trainer.fit(data, how, toy::stops_at{stop}), "the machine is gone");
    } else {
      trainer.fit(data, how);
    }
  };
  reversed ? run(lk::adversarial(tau, strength)) : run(lk::learned(tau));
  return {student.weights(), tau.value()};
}

}  // namespace

TEST_CASE("a temperature is learned against the student, as strongly as its schedule says", "[trainer]") {
  constexpr std::size_t steps = 9;
  toy::clouds data(40);
  toy::linear student(1), teacher(5);
  std::vector<std::size_t> all(40);
  for (std::size_t i = 0; i < 40; ++i) all[i] = i;
  const auto b = data.batch_of(all);
  double t = 3, theta = 0, velocity = 0;  // T = 1 + 4 sigmoid(theta)
  const auto objective = lk::cross_entropy{} + 4 * lk::unscaled(lk::at_temperature(lk::learned(t), lk::forward_kl{}));
  const auto u = teacher.forward(b.inputs);
  for (std::size_t k = 0; k < steps; ++k) {
    student.zero_gradients();
    const auto e = objective(student.forward(b.inputs), u, b.labels);
    student.backward(lk::rows<const double>(e.gradient.data(), 40, toy::classes));
    const lk::progress p(k, steps);
    descent{}.step(student, p);
    velocity = 0.9 * velocity - strength(p.fraction()) * e.temperature_gradient[0] * (t - 1) * (5 - t) / 4;
    theta -= 5 * velocity;
    t = 1 + 4 / (1 + std::exp(-theta));
  }
  for (const std::size_t micro : {0U, 13U}) {
    const left got = against({.steps = steps, .batch = 40, .micro_batch = micro});
    CHECK(got.temperature == Approx(t).epsilon(1e-10));
    for (std::size_t i = 0; i < got.student.size(); ++i) CHECK(got.student[i] == Approx(student.weights()[i]).epsilon(1e-9));
  }
  CHECK(against({.steps = steps, .batch = 40}, false).temperature > 3);  // the loss falls with T
  CHECK(t < 2.9);
  const left long_run = against({.steps = 200, .batch = 40});
  CHECK(long_run.temperature >= 1);
  CHECK(long_run.temperature <= 5);
}

TEST_CASE("a run against its temperature goes on bit for bit", "[trainer][resume]") {
  const toy::temporary file("adversarial.ckpt");
  lk::fit_settings how{.epochs = 3, .batch = 16};
  const left straight = against(how);
  how.checkpoint = file.path;
  how.checkpoint_every = 1;
  (void)against(how, true, 4);
  CHECK_THROWS_AS(against(how, false), lk::checkpoint_error);  // another run: its temperature follows the student
  CHECK(against(how) == straight);
}

TEST_CASE("temperatures in a range say what is wrong with them", "[trainer]") {
  using parameter = lk::temperature_parameter<double>;
  CHECK(parameter(15.6, {1, 21}).value() == Approx(15.6));
  CHECK(parameter(4, {.lowest = 1}).value() == Approx(4));
  CHECK_THROWS_WITH(parameter(1, {1, 21}), Catch::Matchers::Contains("starts at 1, expected a number between 1 and 21"));
  CHECK_THROWS_WITH(parameter(2, {3, 1}), Catch::Matchers::Contains("temperature_range is 3 to 1"));
  CHECK_THROWS_WITH(parameter(0), Catch::Matchers::Contains("expected a positive number"));
}

namespace {

/// toy::clouds whose rows have weights, and some of which are masked.
struct weighed_batch : toy::drawn {
  std::vector<double> row_weights;
  std::vector<int> row_mask;
};
struct weighed_clouds {
  toy::clouds all{30};
  std::size_t size() const { return all.size(); }
  static double weight(std::size_t r) { return 0.5 + static_cast<double>(r % 4); }
  static int mask(std::size_t r) { return r % 5 == 2 ? 0 : 1; }
  weighed_batch batch(std::span<const std::size_t> rows) const {
    weighed_batch b{all.batch_of(rows), {}, {}};
    for (const std::size_t r : rows) b.row_weights.push_back(weight(r)), b.row_mask.push_back(mask(r));
    return b;
  }
};

/// toy::linear, whose forward gives the head in the place of its logits.
class head : public toy::linear {
 public:
  explicit head(std::uint64_t seed) : toy::linear(seed), slope_(weights().size()) {}
  auto forward(const std::vector<double>& x) {
    inputs_ = x;
    const lk::rows<const double> hidden(inputs_.data(), x.size() / toy::features, toy::features);
    return lk::logits_of(hidden, lk::rows<const double>(weights().data(), toy::features, toy::classes).transposed(),
                         std::span(weights()).subspan(toy::features * toy::classes));
  }
  void backward(const lk::head_gradients& g) {
    const auto w = g.weights.rows<const double>(), b = g.bias.rows<const double>();
    for (std::size_t c = 0; c < toy::classes; ++c) {
      slope_[toy::features * toy::classes + c] += b(0, c);
      for (std::size_t f = 0; f < toy::features; ++f) slope_[f * toy::classes + c] += w(c, f);
    }
  }
  void zero_gradients() { std::fill(slope_.begin(), slope_.end(), 0); }
  const std::vector<double>& gradients() const { return slope_; }

 private:
  std::vector<double> slope_, inputs_;
};

/// Two token losses by signals, one whose option a signal sets, one of the teacher's top, one of whole rows.
const auto everything = lk::of_teacher(lk::entropy{}) * lk::alpha_beta{.alpha = 0.3, .beta = 0.6} +
                        0.7 * lk::with<&lk::skew_kl::alpha>(0.5 * lk::of_student(lk::confidence{}), lk::skew_kl{}) +
                        lk::at_temperature(2.0, lk::on<lk::top_of_teacher<2>>(lk::reverse_kl{})) + 0.4 * lk::adaptive_kl{};

/// Its gradient by one row's logits, from the definitions.
std::vector<real> slope_of(const row_input& row) {
  std::vector<real> g(row.classes());
  const auto add = [&](real weight, const reference_row& x) {
    for (std::size_t c = 0; c < g.size(); ++c) g[c] += weight * x.gradient[c];
  };
  real entropy = 0, highest = 0;
  for (const auto& c : row.softmaxes()) entropy -= c.p * c.log_p, highest = std::max(highest, c.q);
  add(entropy, over_classes(ref_alpha_beta(0.3L, 0.6L))(row));
  add(0.7L, over_classes(ref_skew_kl(highest / 2))(row));
  add(0.4L, ref_adaptive_kl(0.5L)(row));
  row_input top = row;  // without the teacher's lowest class, at T = 2, times T^2
  const auto lowest = std::min_element(top.teacher.begin(), top.teacher.end()) - top.teacher.begin();
  top.teacher.erase(top.teacher.begin() + lowest), top.student.erase(top.student.begin() + lowest);
  top.student_t = top.teacher_t = 2;
  reference_row kept = over_classes(ref_reverse_kl())(top);
  kept.gradient.insert(kept.gradient.begin() + lowest, 0);
  add(4, kept);
  return g;
}

template <class Model>
std::vector<double> trained(Model student, const lk::fit_settings& how) {
  weighed_clouds data;
  lk::trainer trainer{student, toy::linear(5), everything, descent{}};
  trainer.fit(data, how);
  return student.weights();
}

}  // namespace

TEST_CASE("losses of tokens with masks, weights, signals, a domain and a head, whatever the micro-batch", "[trainer][heads]") {
  const weighed_clouds data;
  std::vector<std::size_t> all(30);
  for (std::size_t i = 0; i < 30; ++i) all[i] = i;
  const auto b = data.batch(all);
  toy::linear student(1), teacher(5);
  for (int step = 0; step < 2; ++step) {  // with all rows in each
    const auto s = student.forward(b.inputs), t = teacher.forward(b.inputs);
    std::vector<double> g(90);
    double total = 0;
    for (std::size_t r = 0; r < 30; ++r) total += weighed_clouds::mask(r) * weighed_clouds::weight(r);
    for (std::size_t r = 0; r < 30; ++r) {
      const auto slope = slope_of(row_of(s.row(r), t.row(r), toy::classes, 0, 1, 1));
      for (std::size_t c = 0; c < toy::classes; ++c)
        g[r * toy::classes + c] = weighed_clouds::mask(r) * weighed_clouds::weight(r) / total * static_cast<double>(slope[c]);
    }
    student.zero_gradients();
    student.backward(lk::rows<const double>(g.data(), 30, toy::classes));
    descent{}.step(student, lk::progress(0.0));
  }
  const auto check = [&](const std::vector<double>& got) {
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(student.weights()[i]).epsilon(1e-9).margin(1e-12));
  };
  for (const std::size_t micro : {0U, 7U}) {
    const lk::fit_settings how{.steps = 2, .batch = 30, .micro_batch = micro};
    check(trained(toy::linear(1), how));
    check(trained(head(1), how));
  }
}
