// Sums, weights, names, plans and reports, and losses from another namespace.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>
#include <sstream>

namespace lk = limbeck;
using namespace limbeck_test;

namespace elsewhere {

/// KL(p || q) as a textbook writes it.
struct textbook_kl {
  using limbeck_loss = limbeck::pointwise;
  static constexpr int temperature_power = 2;
  template <class X>
  static constexpr X value(const limbeck::point<X>& x) {
    return x.p * (x.log_p - x.log_q);
  }
  template <class X>
  static constexpr X flow(const limbeck::point<X>& x) {
    return -x.p;
  }
};
/// Brier's score against the teacher, sum (p - q)^2: of degree 2 in (p, q).
struct brier {
  using limbeck_loss = limbeck::pointwise;
  static constexpr int temperature_power = 2;
  template <class X>
  static constexpr X value(const limbeck::point<X>& x) {
    return x.difference * x.difference;
  }
  template <class X>
  static constexpr X flow(const limbeck::point<X>& x) {
    return (x.q + x.q) * x.difference;
  }
  template <class X>
  static constexpr X teacher_flow(const limbeck::point<X>& x) {
    return -(x.p + x.p) * x.difference;
  }
};
/// A composition with settings.
struct both_ways {
  using limbeck_loss = limbeck::composite;
  double forward = 0.7;
  constexpr auto terms() const { return forward * limbeck::forward_kl{} + (1 - forward) * limbeck::reverse_kl{}; }
};

}  // namespace elsewhere

namespace {
template <class Objective>
std::pair<double, std::vector<double>> run(const Objective& o, const batch<double>& b, double progress = 0) {
  std::vector<double> g(b.size());
  const double loss =
      o(b.s(), b.t(), b.labels, lk::progress(progress), lk::unread_is_fine, lk::into(lk::rows<double>(g.data(), b.samples, b.classes)))
          .loss;
  return {loss, g};
}
}  // namespace

TEST_CASE("a sum is the sum of its terms") {
  const auto b = random_batch<double>(6, 21);
  const auto ce = run(lk::objective{lk::cross_entropy{}}, b);
  const auto kl = run(lk::objective{lk::at_temperature(4.0, lk::forward_kl{})}, b);
  const auto js = run(lk::objective{lk::at_temperature(4.0, lk::jensen_shannon{})}, b);
  const auto all =
      run(0.1 * lk::cross_entropy{} + 0.9 * lk::at_temperature(4.0, lk::forward_kl{} - 0.5 * lk::jensen_shannon{}), b);
  CHECK(all.first == Approx(0.1 * ce.first + 0.9 * kl.first - 0.45 * js.first).epsilon(1e-13));
  for (std::size_t i = 0; i < b.size(); ++i)
    CHECK(all.second[i] ==
          Approx(0.1 * ce.second[i] + 0.9 * kl.second[i] - 0.45 * js.second[i]).epsilon(1e-11).margin(1e-15));
}

TEST_CASE("weights can be schedules, and multiply") {
  const auto b = random_batch<double>(3, 21);
  const double kl = run(lk::objective{lk::forward_kl{}}, b).first;
  const auto scheduled = lk::linear(1, 3) * (2.0 * lk::forward_kl{});
  CHECK(run(scheduled, b, 0).first == Approx(2 * kl).epsilon(1e-14));
  CHECK(run(scheduled, b, 0.5).first == Approx(4 * kl).epsilon(1e-14));
  CHECK(run(0 * lk::forward_kl{}, b).first == 0);
}

TEST_CASE("a loss from another namespace") {
  const auto b = random_batch<double>(6, 21);
  const auto mine = run(lk::objective{lk::at_temperature(2.0, elsewhere::textbook_kl{})}, b);
  const auto kl = run(lk::objective{lk::at_temperature(2.0, lk::forward_kl{})}, b);
  CHECK(mine.first == Approx(kl.first).epsilon(1e-12));
  for (std::size_t i = 0; i < b.size(); ++i) CHECK(mine.second[i] == Approx(kl.second[i]).epsilon(1e-11).margin(1e-14));
  const auto sum = run(lk::objective{elsewhere::brier{}} + 0.5 * lk::forward_kl{}, b);
  double expected = 0.5 * run(lk::objective{lk::forward_kl{}}, b).first;
  expected += run(lk::objective{elsewhere::brier{}}, b).first;
  CHECK(sum.first == Approx(expected).epsilon(1e-13));
  const auto ways = run(lk::objective{elsewhere::both_ways{0.6}}, b);
  CHECK(ways.first == Approx(run(0.6 * lk::forward_kl{} + 0.4 * lk::reverse_kl{}, b).first).epsilon(1e-14));
}

TEST_CASE("the gradient of a user's own divergence") {
  const auto b = random_batch<double>(2, 7);
  const lk::objective brier{elsewhere::brier{}};
  const auto [value, g] = run(brier, b);
  for (std::size_t i = 0; i < b.size(); ++i) {
    auto up = b, down = b;
    up.student[i] += 1e-5, down.student[i] -= 1e-5;
    CHECK(g[i] == Approx((run(brier, up).first - run(brier, down).first) / 2e-5).epsilon(1e-6).margin(1e-10));
  }
}

TEST_CASE("a user's own divergence with a learned temperature") {
  const auto b = random_batch<double>(4, 7);
  double t = 2;
  const auto o = lk::objective{lk::at_temperature(lk::learned(t), elsewhere::brier{})};
  std::vector<double> g(b.size());
  const auto e = o(b.s(), b.t(), lk::into(lk::rows<double>(g.data(), 4, 7)));
  t = 2 + 1e-5;
  const double up = o.value(b.s(), b.t());
  t = 2 - 1e-5;
  const double down = o.value(b.s(), b.t());
  CHECK(e.temperature_gradient[0] == Approx((up - down) / 2e-5).epsilon(1e-6));
}

TEST_CASE("the plan says what is shared") {
  const auto o = 0.1 * lk::cross_entropy{} +
                 lk::at_temperature(4.0, lk::forward_kl{} + 0.3 * lk::named<"back">(lk::reverse_kl{})) +
                 lk::unscaled(lk::at_temperature(lk::linear(2, 1), lk::total_variation{}));
  const std::string text = o.plan(0.5).str();
  INFO(text);
  for (const char* part : {"0.1 * T^1 * cross_entropy", "T^2 * forward_kl", "0.3 * T^2 * reverse_kl \"back\"",
                           "1 * total_variation", "student at T = 4", "teacher at T = 1.5",
                           "shared by forward_kl, back", "5 exponentials a class (7 asked for)", "2 tensors read"})
    CHECK(text.find(part) != std::string::npos);
  std::ostringstream out;
  out << o.plan(0.5);
  CHECK(out.str() == text);
  CHECK((0.5 * lk::cross_entropy{}).plan().str().find("1 tensors read") != std::string::npos);
}

TEST_CASE("terms at one fixed temperature share a softmax wherever they stand") {
  const auto o = lk::at_temperature(lk::fixed<4>{}, lk::forward_kl{}) +
                 lk::at_temperature(lk::fixed<4>{}, lk::reverse_kl{}) + lk::cross_entropy{} + lk::jensen_shannon{};
  CHECK(o.plan().str().find("4 exponentials a class (7 asked for)") != std::string::npos);
}

TEST_CASE("the report holds each term's value, weight and gradient norm") {
  const auto b = random_batch<double>(6, 21);
  const auto o = 0.1 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::named<"soft">(0.9 * lk::forward_kl{})) +
                 lk::named<"decoupled">(lk::dkd{.alpha = 1, .beta = 2});
  const auto report = o.report(b.s(), b.t(), b.labels);
  REQUIRE(report.terms().size() == 4);
  CHECK(report.terms()[0].name == "cross_entropy");
  CHECK(report.terms()[1].name == "soft");
  CHECK(report.terms()[2].name == "decoupled");
  CHECK(report.terms()[0].weight == 0.1);
  CHECK(report.terms()[1].weight == 0.9);
  CHECK(report.total() == Approx(run(o, b).first).epsilon(1e-13));
  const auto soft = run(0.9 * lk::at_temperature(4.0, lk::forward_kl{}), b);
  double squares = 0;
  for (const double x : soft.second) squares += x * x;
  CHECK(report.terms()[1].value == Approx(soft.first).epsilon(1e-13));
  CHECK(report.terms()[1].gradient_norm == Approx(std::sqrt(squares)).epsilon(1e-13));
  std::ostringstream out;
  out << report;
  for (const char* part : {"term", "weight", "value", "gradient norm", "soft", "total"})
    CHECK(out.str().find(part) != std::string::npos);
}
