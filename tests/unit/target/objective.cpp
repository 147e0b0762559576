// Targets in the place of a teacher's tensor, and what published methods become of them.

#include <limbeck/limbeck.hpp>
#include <limbeck/target/ensemble.hpp>
#include <limbeck/target/interpolation.hpp>
#include <limbeck/target/label_mix.hpp>
#include <limbeck/target/load_balance.hpp>
#include <limbeck/target/min_max_scores.hpp>
#include <limbeck/target/past.hpp>
#include <limbeck/target/power_transform.hpp>
#include <limbeck/target/sparse_kl.hpp>
#include <limbeck/target/zipf_labels.hpp>

#include "cases.hpp"

using namespace limbeck_test;
using Catch::Matchers::Contains;

namespace {

const matrix<double> s(6, 21, 1, 3), a(6, 21, 2, 3), b(6, 21, 3, 3), c(6, 21, 4, 3);
const std::vector<int> labels{0, 5, 20, 3, 3, 9};

/// Value, with the gradient in @p g.
template <class Objective, class... X>
double run(const Objective& objective, matrix<double>& g, const X&... x) {
  lk::workspace ws;
  auto view = g.out();
  return objective(x..., lk::into(view), ws).loss;
}

}  // namespace

TEST_CASE("a target is its filled tensor", "[target][objective]") {
  const lk::objective o{0.3 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{})};
  matrix<double> g(6, 21), h(6, 21);
  const auto same = [&](const auto& target) {
    const auto tensor = filled(target, s.in(), labels, lk::progress(0.5));
    CHECK(run(o, g, s.in(), target, labels, lk::progress(0.5)) ==
          Approx(run(o, h, s.in(), tensor.in(), labels)).epsilon(1e-12));
    for (std::size_t i = 0; i < g.data.size(); ++i) CHECK(g.data[i] == Approx(h.data[i]).margin(1e-14));
  };
  same(lk::mean_of_probabilities(a.in(), b.in(), c.in()).at_temperature(4));
  same(lk::mean_of_logits(a.in(), b.in()).weighted(lk::confidence_weights{}));
  same(lk::label_mixed(a.in(), lk::linear(0, 1), 4));
  same(lk::interpolated(lk::geometric_mean(a.in(), b.in()), 0.4));
  const auto store = lk::keep_top(a.in(), 5);
  same(lk::sparse_target(store));
}

TEST_CASE("threads change no bit of an objective over a target", "[target][objective]") {
  const matrix<float> x(67, 33, 1, 3), y(67, 33, 2, 3), z(67, 33, 3, 3);
  const lk::objective o{lk::at_temperature(2.0, lk::forward_kl{})};
  const auto target = lk::mean_of_probabilities(y.in(), z.in()).at_temperature(2);
  matrix<float> one(67, 33), four(67, 33);
  auto u = one.out(), v = four.out();
  lk::workspace ws;
  CHECK(o(x.in(), target, lk::into(u), ws).loss == o(x.in(), target, lk::into(v), ws, lk::on(lk::openmp{4})).loss);
  CHECK(one.data == four.data);
}

TEST_CASE("TAID: nothing to learn from oneself, everything from the teacher", "[target][objective]") {
  const lk::objective o{lk::forward_kl{}};
  matrix<double> g(6, 21), h(6, 21);
  CHECK(run(o, g, s.in(), lk::interpolated(a.in(), 0)) == Approx(0).margin(1e-15));
  for (const double x : g.data) CHECK(x == Approx(0).margin(1e-15));
  CHECK(run(o, g, s.in(), lk::interpolated(a.in(), 1)) == run(o, h, s.in(), a.in()));
  CHECK(g.data == h.data);
  run(o, g, s.in(), lk::interpolated(a.in(), 0.4));
  for (std::size_t r = 0; r < 6; ++r) {
    std::vector<double> z(21);
    for (std::size_t i = 0; i < 21; ++i) z[i] = 0.6 * s.row(r)[i] + 0.4 * a.row(r)[i];
    const auto p = softmax(z.data(), 21), q = softmax(s.row(r), 21);
    for (std::size_t i = 0; i < 21; ++i)
      CHECK(g.row(r)[i] == Approx(static_cast<double>((q[i] - p[i]) / 6)).margin(1e-14));
  }
}

TEST_CASE("routing: the gradient of averaged losses is that of the averaged target", "[target][objective]") {
  const matrix<double> gate(6, 3, 9, 1);
  const lk::objective o{lk::at_temperature(4.0, lk::forward_kl{})};
  matrix<double> g(6, 21);
  const double value =
      run(o, g, s.in(),
          lk::mean_of_probabilities(a.in(), b.in(), c.in()).at_temperature(4).weighted(lk::routed(gate.in(), 2)));
  real average = 0;
  for (std::size_t r = 0; r < 6; ++r) {
    const auto q = softmax(s.row(r), 21, 4);
    std::vector<real> slope(21);
    std::size_t worst = 0;
    for (std::size_t k = 1; k < 3; ++k) worst = gate.row(r)[k] < gate.row(r)[worst] ? k : worst;
    const matrix<double>* all[] = {&a, &b, &c};
    for (std::size_t k = 0; k < 3; ++k) {
      if (k == worst) continue;
      const auto p = softmax(all[k]->row(r), 21, 4);
      for (std::size_t i = 0; i < 21; ++i) {
        slope[i] += 0.5L * 16 * (q[i] - p[i]) / 4 / 6;
        average += 0.5L * 16 * p[i] * std::log(p[i] / q[i]) / 6;
      }
    }
    for (std::size_t i = 0; i < 21; ++i) CHECK(g.row(r)[i] == Approx(static_cast<double>(slope[i])).margin(1e-13));
  }
  CHECK(value < static_cast<double>(average));
}

TEST_CASE("TTM, WTTM and low-temperature distillation", "[target][objective]") {
  const double gamma = 0.25;
  matrix<double> g(6, 21), h(6, 21);
  const double ttm = run(lk::objective{lk::forward_kl{}}, g, s.in(), lk::power_transformed(a.in(), gamma));
  const double asymmetric =
      run(lk::objective{lk::unscaled(lk::at_temperature(1.0, 1 / gamma, lk::forward_kl{}))}, h, s.in(), a.in());
  CHECK(ttm == Approx(asymmetric).epsilon(1e-12));
  for (std::size_t i = 0; i < g.data.size(); ++i) CHECK(g.data[i] == Approx(h.data[i]).margin(1e-14));

  std::vector<double> u(6);
  lk::wttm_row_weights(a.in(), gamma, u);
  const double wttm =
      run(lk::objective{lk::given(u) * lk::forward_kl{}}, g, s.in(), lk::power_transformed(a.in(), gamma));
  real expected = 0;
  for (std::size_t r = 0; r < 6; ++r) {
    auto p = softmax(a.row(r), 21);
    const auto q = softmax(s.row(r), 21);
    real sum = 0;
    for (real& x : p) sum += x = std::pow(x, static_cast<real>(gamma));
    for (std::size_t i = 0; i < 21; ++i) expected += p[i] * std::log(p[i] / sum / q[i]) / 6;
  }
  CHECK(wttm == Approx(static_cast<double>(expected)).epsilon(1e-12));
}

TEST_CASE("the non-target part of USKD", "[target][objective]") {
  const matrix<double> weak(6, 21, 8, 2);
  const auto target = lk::zipf_labels(weak.in());
  const lk::objective o{lk::on<lk::non_target>(lk::soft_cross_entropy{})};
  matrix<double> g(6, 21);
  const double value = run(o, g, s.in(), target, labels);
  const auto z = filled(target, s.in(), labels);
  real expected = 0;
  for (std::size_t r = 0; r < 6; ++r) {
    const auto y = static_cast<std::size_t>(labels[r]);
    std::vector<double> x(s.row(r), s.row(r) + 21);
    x[y] = masked;
    const auto p = softmax(z.row(r), 21), q = softmax(x.data(), 21);
    for (std::size_t i = 0; i < 21; ++i)
      if (i != y) expected -= p[i] * std::log(q[i]) / 6;
  }
  CHECK(value == Approx(static_cast<double>(expected)).epsilon(1e-12));
}

TEST_CASE("the sparse divergence is a term", "[target][objective]") {
  const auto store = lk::keep_top(a.in(), 21);
  matrix<double> g(6, 21), h(6, 21);
  const double sum = run(lk::objective{0.5 * lk::cross_entropy{} + 2.0 * lk::sparse_kl(store)}, g, s.in(), labels);
  const double dense =
      run(lk::objective{0.5 * lk::cross_entropy{} + 2.0 * lk::forward_kl{}}, h, s.in(), a.in(), labels);
  CHECK(sum == Approx(dense).epsilon(1e-12));
  for (std::size_t i = 0; i < g.data.size(); ++i) CHECK(g.data[i] == Approx(h.data[i]).margin(1e-14));
}

TEST_CASE("a faulty teacher of an ensemble is reported by its row", "[target][objective][errors]") {
  matrix<double> bad = b;
  bad.row(4)[2] = std::nan("");
  matrix<double> g(6, 21);
  const lk::objective o{lk::forward_kl{}};
  CHECK_THROWS_WITH(run(o, g, s.in(), lk::mean_of_probabilities(a.in(), bad.in())), Contains("row 4"));
  for (std::size_t i = 0; i < 21; ++i) bad.row(3)[i] = masked;
  CHECK_THROWS_WITH(run(o, g, s.in(), lk::mean_of_logits(a.in(), bad.in())), Contains("row 3"));
}
