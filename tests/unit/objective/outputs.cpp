// Several outputs of a model in one call: each pair of tensors as if it had been called alone.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <random>
#include <sstream>
#include <vector>

namespace lk = limbeck;

namespace {

using view = lk::rows<const double>;
using place = lk::rows<double>;

struct numbers {
  std::vector<double> x;
  std::size_t n, c;
  numbers(std::size_t rows, std::size_t columns, unsigned seed) : x(rows * columns), n(rows), c(columns) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0, 2);
    for (double& v : x) v = normal(random);
  }
  view read() const { return {x.data(), n, c}; }
  place write() { return {x.data(), n, c}; }
};

const numbers z(6, 5, 1), head(6, 5, 2), hidden(6, 3, 3), tokens(12, 4, 4);
const numbers t(6, 5, 5), second(6, 5, 6), wide(6, 7, 7), of_tokens(12, 4, 8);
const std::vector<int> labels{0, 1, 2, -100, 4, 0}, token_labels{0, 1, 2, 3, 0, -100, 2, 3, 0, 1, 2, 3};
const std::vector<double> weights{1, 2, 0, 1, 1, 1};

auto student() {
  return lk::outputs{lk::output<"logits">(z.read()), lk::output<"kd">(head.read()), lk::output<"h">(hidden.read()),
                     lk::output<"tokens">(tokens.read()), lk::output<"idle">(hidden.read())};
}
auto teacher() {
  return lk::outputs{lk::output<"logits">(t.read()), lk::output<"second">(second.read()), lk::output<"h">(wide.read()),
                     lk::output<"tokens">(of_tokens.read())};
}
struct gradients {
  numbers z{6, 5, 9}, head{6, 5, 9}, hidden{6, 3, 9}, tokens{12, 4, 9}, idle{6, 3, 9};
  auto all() {
    return lk::outputs{lk::output<"logits">(z.write()), lk::output<"kd">(head.write()), lk::output<"h">(hidden.write()),
                       lk::output<"tokens">(tokens.write()), lk::output<"idle">(idle.write())};
  }
};
void check_same(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).epsilon(1e-13).margin(1e-15));
}
std::vector<double> sum(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

}  // namespace

TEST_CASE("named outputs are calls of their own, added up", "[objective][outputs]") {
  double tau = 3;
  lk::projection<double> p(3, 7), alone(3, 7);
  const std::vector<double> per_row{1, 2, 3, 1, 2, 3}, twos(12, 2.0), zeros_and_ones{1, 1, 0, 1, 1, 1};
  const auto ce = 0.3 * lk::cross_entropy{.smoothing = 0.1};
  const auto soft = lk::at_temperature(lk::learned(tau), lk::forward_kl{});
  const auto from_second = lk::given(per_row) * lk::reverse_kl{};
  const auto on_kd = lk::at_temperature(lk::of_teacher(lk::confidence{}), lk::forward_kl{}) + 0.5 * lk::mse{};
  const auto o = ce + lk::at<"kd", "logits">(on_kd) + 2.0 * lk::at<"h">(lk::projected(p, lk::hint{})) + soft +
                 lk::at<"logits", "second">(from_second) + lk::at<"tokens">(lk::forward_kl{} + lk::cross_entropy{});
  gradients g;
  auto to = g.all();
  lk::workspace ws;
  const auto s = student();
  const auto u = teacher();
  const auto e =
      o(s, u, labels, lk::row_weights(weights), lk::at<"tokens">(token_labels), lk::at<"tokens">(lk::row_weights(twos)),
        lk::at<"h">(lk::row_weights(zeros_and_ones)), lk::into(to), ws);

  const auto a = (ce + soft)(z.read(), t.read(), labels, lk::row_weights(weights));
  const auto b =
      lk::objective(from_second)(z.read(), second.read(), labels, lk::row_weights(weights), lk::unread_is_fine);
  const auto c = on_kd(head.read(), t.read(), labels, lk::row_weights(weights), lk::unread_is_fine);
  const auto d = (2.0 * lk::projected(alone, lk::hint{}))(hidden.read(), wide.read(), labels, lk::unread_is_fine,
                                                          lk::row_weights(zeros_and_ones));
  const auto f = (lk::forward_kl{} + lk::cross_entropy{})(tokens.read(), of_tokens.read(), token_labels);
  CHECK(e.loss == Approx(a.loss + b.loss + c.loss + d.loss + f.loss).epsilon(1e-13));
  CHECK(e.rows == 4);
  CHECK(e.weight == 5);
  CHECK(e.temperature_gradient[0] == Approx(a.temperature_gradient[0]).epsilon(1e-13));
  check_same(g.z.x, sum(a.gradient, b.gradient));
  check_same(g.head.x, c.gradient);
  check_same(g.hidden.x, d.gradient);
  check_same(g.tokens.x, f.gradient);
  for (std::size_t i = 0; i < 2; ++i)
    check_same({p.gradients()[i].begin(), p.gradients()[i].end()},
               {alone.gradients()[i].begin(), alone.gradients()[i].end()});
  for (const double x : g.idle.x) CHECK(x == 0);
}

TEST_CASE("value, report, plan and a gradient of its own say the same of named outputs", "[objective][outputs]") {
  const auto o = lk::cross_entropy{} + lk::at<"h">(lk::rkd_distance{}) + lk::at<"kd", "second">(2.0 * lk::forward_kl{});
  gradients g;
  auto to = g.all();
  const double loss = o(student(), teacher(), labels, lk::into(to)).loss;
  CHECK(o.value(student(), teacher(), labels) == Approx(loss).epsilon(1e-14));
  const auto report = o.report(student(), teacher(), labels);
  REQUIRE(report.terms().size() == 3);
  CHECK(report.total() == Approx(loss).epsilon(1e-14));
  const auto made = o(student(), teacher(), labels);
  CHECK(made.loss == loss);
  check_same(made.gradient.of<"logits">(), g.z.x);
  check_same(made.gradient.of<"kd">(), g.head.x);
  check_same(made.gradient.of<"h">(), g.hidden.x);
  std::ostringstream plan;
  plan << o.plan();
  CHECK(plan.str().find("at the student's output \"kd\", the teacher's \"second\"\n") != std::string::npos);
  CHECK(plan.str().find("at the student's output \"logits\"\n") != std::string::npos);
}

TEST_CASE("a tensor alone is \"logits\"", "[objective][outputs]") {
  const auto o = 0.5 * lk::cross_entropy{} + lk::forward_kl{} + lk::at<"logits", "second">(lk::reverse_kl{});
  const auto e = o(z.read(), teacher(), labels);
  const auto a = (0.5 * lk::cross_entropy{} + lk::forward_kl{})(z.read(), t.read(), labels);
  const auto b = lk::objective(lk::reverse_kl{})(z.read(), second.read(), labels, lk::ignore_index(-100));
  CHECK(e.loss == Approx(a.loss + b.loss).epsilon(1e-14));
  check_same(e.gradient, sum(a.gradient, b.gradient));

  numbers g(6, 5, 1);
  const std::vector<double> before = g.x;
  o(z.read(), teacher(), labels, lk::add_to(g.write()));
  check_same(g.x, sum(before, e.gradient));

  const auto only_labels = lk::at<"kd">(lk::cross_entropy{})(student(), labels);
  CHECK(only_labels.loss == lk::objective(lk::cross_entropy{})(head.read(), labels).loss);
}

TEST_CASE("a gradient is added to what is there", "[objective][outputs]") {
  const auto o = lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{}) + 0.1 * lk::rkd_distance{};
  const auto e = o(z.read(), t.read(), labels);
  const auto check = [&](auto place_of) {
    numbers g(6, 5, 1);
    std::vector<double> expected(g.x.size());
    const auto to = place_of(g);
    for (std::size_t r = 0; r < 6; ++r)
      for (std::size_t c = 0; c < 5; ++c) to(r, c) += e.gradient[r * 5 + c];
    expected = g.x;
    g = numbers(6, 5, 1);
    const auto again = o(z.read(), t.read(), labels, lk::add_to(place_of(g)));
    CHECK(again.loss == e.loss);
    check_same(g.x, expected);
  };
  check([](numbers& g) { return g.write(); });
  check([](numbers& g) { return place(g.x.data(), 6, 5, 1, 6); });  // transposed

  numbers wide_logits(3, 301, 4), wide_teacher(3, 301, 5), g(3, 301, 6);
  const std::vector<double> before = g.x;
  const auto once = lk::objective(lk::forward_kl{})(wide_logits.read(), wide_teacher.read());
  lk::objective(lk::forward_kl{})(wide_logits.read(), wide_teacher.read(), lk::add_to(g.write()));
  check_same(g.x, sum(before, once.gradient));
}

TEST_CASE("outputs whose type is known at run time", "[objective][outputs]") {
  const auto any = [](const numbers& x) {
    const std::ptrdiff_t shape[] = {static_cast<std::ptrdiff_t>(x.n), static_cast<std::ptrdiff_t>(x.c)};
    return lk::any_tensor(x.x.data(), lk::element_type::float64, shape, false);
  };
  lk::projection<double> p(3, 7), q(3, 7);
  const auto o = lk::cross_entropy{} + lk::at<"h">(lk::projected(p, lk::hint{}));
  const auto same = lk::cross_entropy{} + lk::at<"h">(lk::projected(q, lk::hint{}));
  numbers gz(6, 5, 1), gh(6, 3, 1);
  const auto s = lk::outputs{lk::output<"logits">(any(z)), lk::output<"h">(any(hidden))};
  const auto u = lk::outputs{lk::output<"h">(any(wide))};
  auto to = lk::outputs{lk::output<"logits">(any(gz)), lk::output<"h">(any(gh))};
  const double loss = o(s, u, labels, lk::into(to)).loss;
  const auto e = same(student(), teacher(), labels);
  CHECK(loss == e.loss);
  check_same(gz.x, e.gradient.of<"logits">());
  check_same(gh.x, e.gradient.of<"h">());
}
