// Losses and temperatures of tokens against their papers' formulas, in long double.

#include "batch.hpp"
#include "catch.hpp"
#include "reference.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

row_input row_at(const batch<double>& b, std::size_t r, double t = 1) {
  return row_of(&b.student[r * b.classes], &b.teacher[r * b.classes], b.classes, static_cast<std::size_t>(b.labels[r]), t, t);
}
template <class Objective>
std::pair<double, std::vector<double>> call(const Objective& o, const batch<double>& b) {
  std::vector<double> g(b.size());
  const double loss = o(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<double>(g.data(), b.samples, b.classes))).loss;
  return {loss, g};
}
/// Rows by weights of their own, over their number: the value and the gradient.
void check_rows(const std::pair<double, std::vector<double>>& got, const batch<double>& b, const auto& expected) {
  real value = 0;
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto [weight, row] = expected(r);
    value += weight * row.value;
    for (std::size_t c = 0; c < b.classes; ++c)
      CHECK(got.second[r * b.classes + c] == Approx(static_cast<double>(weight * row.gradient[c])).epsilon(1e-9).margin(1e-13));
  }
  CHECK(got.first == Approx(static_cast<double>(value)).epsilon(1e-11));
}
real hellinger(const batch<double>& b, std::size_t r) {
  real sum = 0;
  for (const auto& c : row_at(b, r).softmaxes()) sum += (std::sqrt(c.p) - std::sqrt(c.q)) * (std::sqrt(c.p) - std::sqrt(c.q));
  return std::sqrt(sum / 2);
}

}  // namespace

TEST_CASE("adaptive_kl: the weights of its authors' code, by hand") {
  // p = 0.4, 0.3, 0.2, 0.1: the head is the first class, for the second passes 0.5
  const auto logs = [](std::vector<double> x) {
    for (double& v : x) v = std::log(v);
    return x;
  };
  const batch<double> b{1, 4, logs({0.1, 0.2, 0.3, 0.4}), logs({0.4, 0.3, 0.2, 0.1}), {0}};
  const double kl = 0.4 * std::log(4.0) + 0.3 * std::log(1.5) + 0.2 * std::log(2 / 3.0) + 0.1 * std::log(0.25);
  CHECK(call(lk::objective{lk::adaptive_kl{}}, b).first == Approx(kl).epsilon(1e-12));  // both KLs are the same here
  const batch<double> off{1, 4, logs({0.25, 0.25, 0.25, 0.25}), logs({0.4, 0.3, 0.2, 0.1}), {0}};
  double forward = 0, reverse = 0;
  for (const double x : {0.4, 0.3, 0.2, 0.1}) forward += x * std::log(x / 0.25), reverse += 0.25 * std::log(0.25 / x);
  const double head = 0.15 / 0.4;
  CHECK(call(lk::objective{lk::adaptive_kl{}}, off).first == Approx(head * forward + (1 - head) * reverse).epsilon(1e-12));
  const double both = 0.2 / 0.4;  // with 0.7 of the mass
  CHECK(call(lk::objective{lk::adaptive_kl{.head = 0.75}}, off).first == Approx(both * forward + (1 - both) * reverse).epsilon(1e-12));
  CHECK_THROWS_WITH(call(lk::objective{lk::adaptive_kl{.head = 1}}, off), Catch::Matchers::Contains("adaptive_kl.head is 1"));
  auto wrong = off;
  wrong.teacher[2] = std::nan("");
  CHECK_THROWS_AS(call(lk::objective{lk::adaptive_kl{}}, wrong), lk::value_error);
}

TEST_CASE("alpha_beta: exponents next to a limit give the limit") {
  const auto b = random_batch<double>(4, 9, 6, 3);
  const auto value = [&](double alpha, double beta) { return call(lk::objective{lk::alpha_beta{.alpha = alpha, .beta = beta}}, b); };
  for (const auto& [alpha, beta] : {std::pair{0.4, -0.4}, {0.6, 0.0}, {0.0, 0.6}, {0.0, 0.0}, {-0.5, 0.5}, {1.0, 0.0}}) {
    const auto at = value(alpha, beta);
    for (const double step : {1e-12, -1e-12})
      for (const auto& near : {value(alpha + step, beta), value(alpha, beta + step), value(alpha + step, beta + step)}) {
        CHECK(near.first == Approx(at.first).epsilon(1e-10));
        for (std::size_t i = 0; i < b.size(); ++i) CHECK(near.second[i] == Approx(at.second[i]).epsilon(1e-9).margin(1e-11));
      }
  }
}

TEST_CASE("skew_reverse_kl with its mixture held: the student of the mixture is of the past") {
  const auto b = random_batch<double>(3, 7, 5, 1.5);
  const double alpha = 0.3;
  const auto plain = call(lk::objective{lk::skew_reverse_kl{.alpha = alpha}}, b);
  const auto got = call(lk::objective{lk::skew_reverse_kl{.alpha = alpha, .hold_mixture = true}}, b);
  CHECK(got.first == plain.first);
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto now = row_at(b, r).softmaxes();
    const auto value = [&](const std::vector<reference_class>& c) {
      real sum = 0;
      for (std::size_t i = 0; i < c.size(); ++i) sum += c[i].q * std::log(c[i].q / ((1 - alpha) * now[i].p + alpha * now[i].q));
      return sum;
    };
    for (std::size_t c = 0; c < b.classes; ++c) {
      auto up = row_at(b, r), down = up;
      up.student[c] += 1e-5L, down.student[c] -= 1e-5L;
      const real slope = (value(up.softmaxes()) - value(down.softmaxes())) / 2e-5L;
      CHECK(got.second[r * b.classes + c] * 3 == Approx(static_cast<double>(slope)).epsilon(1e-7).margin(1e-10));
    }
  }
}

TEST_CASE("IDTS: temperatures of its authors' figures, and the loss at them") {
  const auto b = random_batch<double>(8, 9, 3, 1.5, 0.4);
  std::vector<real> d(8);
  for (std::size_t r = 0; r < 8; ++r) d[r] = hellinger(b, r);
  auto sorted = d;
  std::sort(sorted.begin(), sorted.end());
  const auto temperature = [&](std::size_t r) { return std::exp(-0.5L * std::tanh(std::log(d[r] / sorted[3]))); };
  std::vector<double> t(8);
  for (std::size_t r = 0; r < 8; ++r) t[r] = static_cast<double>(temperature(r));
  const auto idts = lk::at_temperature(lk::inverse_difficulty_temperature(), lk::reverse_kl{});
  const auto got = call(idts, b);
  check_rows(got, b, [&](std::size_t r) {
    const auto row = over_classes(ref_reverse_kl())(row_at(b, r, t[r]));
    return std::pair{static_cast<real>(t[r] * t[r] / 8), row};
  });
  // distances of 1/4, 1/2, 1, 2 and 4 medians: 1.554535, 1.349859, 1, 0.740818, 0.643279
  batch<double> two{5, 2, std::vector<double>(10), std::vector<double>(10), std::vector<int>(5)};
  const double median = 0.05;
  for (std::size_t r = 0; r < 5; ++r) {  // q = (1/2, 1/2): 1 - d^2 = (sqrt p + sqrt(1 - p))/sqrt 2
    const double x = 1 - std::pow(median * std::exp2(static_cast<double>(r) - 2), 2), p = (1 + std::sqrt(1 - std::pow(2 * x * x - 1, 2))) / 2;
    two.teacher[2 * r] = std::log(p / (1 - p));
  }
  const double figures[] = {1.554535, 1.349859, 1, 0.740818, 0.643279};
  const auto five = call(idts, two);
  for (std::size_t r = 0; r < 5; ++r) {
    const auto row = over_classes(ref_reverse_kl())(row_at(two, r, figures[r]));
    CHECK(five.second[2 * r] == Approx(figures[r] * figures[r] * static_cast<double>(row.gradient[0]) / 5).epsilon(3e-6));
  }
  two.teacher = two.student;
  CHECK(call(idts, two).first == 0);
}

TEST_CASE("TSD-KD: the entropy of the tokens above a quantile of it, a mean over these") {
  const auto b = random_batch<double>(7, 9, 4, 2);
  std::vector<real> h(7);
  for (std::size_t r = 0; r < 7; ++r) h[r] = over_classes(ref_student_entropy())(row_at(b, r)).value;
  auto sorted = h;
  std::sort(sorted.begin(), sorted.end());
  const real least = sorted[4] + 0.2L * (sorted[5] - sorted[4]);  // 0.7 of the way from rank 0 to 6
  const auto doubtful = lk::of_student(lk::entropy{}) >= lk::quantile_of(lk::of_student(lk::entropy{}), 0.7);
  const auto got = call((doubtful / lk::share_of(doubtful)) * lk::student_entropy{}, b);
  check_rows(got, b, [&](std::size_t r) { return std::pair{h[r] >= least ? 1 / 2.0L : 0, over_classes(ref_student_entropy())(row_at(b, r))}; });
}

TEST_CASE("a student's proxy that holds some of the target is a skew KL whose alpha is of the row") {
  // KL(m || (1 - w) q + w m), m = (1 - lambda) p + lambda y: Self-Evolution's hard tokens, w of their own
  const auto b = random_batch<double>(5, 8, 6, 1.5);
  const std::vector<double> w{0.1, 0.3, 0.5, 0.7, 0.9};
  const auto o = lk::with<&lk::skew_kl::alpha>(lk::given(w), lk::skew_kl{});
  auto taught = b;
  for (std::size_t r = 0; r < 5; ++r) {
    auto p = row_at(b, r).softmaxes();
    for (std::size_t c = 0; c < 8; ++c)
      taught.teacher[r * 8 + c] =
          static_cast<double>(std::log(0.7L * p[c].p + (static_cast<int>(c) == b.labels[r] ? 0.3L : 0)));
  }
  std::vector<double> g(b.size());
  const double loss = o(b.s(), lk::label_mixed(b.t(), 0.3), b.labels, lk::into(lk::rows<double>(g.data(), 5, 8))).loss;
  check_rows({loss, g}, b, [&](std::size_t r) {
    return std::pair{1 / 5.0L, over_classes(ref_skew_kl(static_cast<real>(w[r])))(row_at(taught, r))};
  });
}

TEST_CASE("the two parts of the reverse KL make it up") {
  const auto b = random_batch<double>(6, 11, 8, 2);
  real whole = 0;
  for (std::size_t r = 0; r < 6; ++r) whole += over_classes(ref_reverse_kl())(row_at(b, r)).value / 6;
  const auto parts = lk::target_reverse_kl{} + (1 - lk::of_student(lk::label_probability{})) * lk::on<lk::non_target>(lk::reverse_kl{});
  CHECK(call(parts, b).first == Approx(static_cast<double>(whole)).epsilon(1e-12));
  // a label that the student masks has the probability 0; one that the teacher masks costs infinity
  constexpr double none = -infinity<double>;
  const lk::objective label{lk::target_reverse_kl{}};
  const double p = 1 / (1 + std::exp(1.0) + std::exp(2.0));
  const auto masked = call(label, {1, 3, {none, 0, 1}, {0, 1, 2}, {0}});
  CHECK(masked.first == Approx(-std::log(1 - p)).epsilon(1e-12));
  for (const double g : masked.second) CHECK(g == 0);
  CHECK(call(label, {1, 3, {0, 1, 2}, {none, 0, 1}, {0}}).first == infinity<double>);
  CHECK(call(label, {1, 3, {0, none, none}, {0, 1, 2}, {0}}).first == Approx(-std::log(p)).epsilon(1e-12));
}
