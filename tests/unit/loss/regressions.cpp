// Regressions as losses of rows: what the specimens do not say of them.

#include "catch.hpp"
#include "make_specimen.hpp"

#include <algorithm>
#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

using X = lk::pack<lk::scalar_lanes<double>>;

template <class F>
std::string sentence(F&& f) {
  try {
    f();
  } catch (const lk::value_error& e) {
    return e.what();
  }
  return "nothing was thrown";
}
const double inf = infinity<double>;
const double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Value and gradient of an objective over a batch; no row is averaged.
template <class Objective>
outcome<double> run(const Objective& objective, const batch<double>& b) {
  lk::workspace ws;
  return run_objective(objective, b, ws);
}
/// The gradient is the difference of values.
template <class Objective>
void check_slopes(const Objective& objective, const batch<double>& b, double h = 1e-5) {
  const auto got = run(objective, b);
  for (std::size_t i = 0; i < b.size(); ++i) {
    auto up = b, down = b;
    up.student[i] += h, down.student[i] -= h;
    INFO("element " << i);
    CHECK((run(objective, up).loss - run(objective, down).loss) / (2 * h) == Approx(got.gradient[i]).epsilon(1e-6).margin(1e-8));
  }
}
lk::point<X> at(double s, double t) {
  lk::point<X> x{};
  x.student = X(s), x.teacher = X(t), x.difference = X(s - t);
  return x;
}
template <class Loss>
double value_at(const Loss& l, double s, double t) {
  return l.value(at(s, t)).v;
}

}  // namespace

TEST_CASE("features refuse -inf, whatever stands beside them") {
  for (const auto& loss : regression_specimens()) {
    if (!loss.of_features) continue;
    INFO(loss.title());
    const auto b = random_batch<double>(4, 19, 3);
    auto odd = b;
    odd.student[2 * 19 + 18] = odd.student[3 * 19] = -inf;
    const std::string masked = "limbeck: student is -inf at row 2, column 18, expected a finite number";
    CHECK(sentence([&] { loss(odd, 1); }) == masked);
    if (loss.name == "bce_with_logits") continue;  // its teacher becomes answers
    odd.teacher = odd.student;
    CHECK(sentence([&] { loss(odd, 1); }) == masked);
    odd.student = b.student;
    CHECK(sentence([&] { loss(odd, 1); }) == "limbeck: teacher is -inf at row 2, column 18, expected a finite number");
    odd.teacher[19 + 1] = not_a_number;
    CHECK(sentence([&] { loss(odd, 1); }).find("teacher is nan at row 1, column 1") != std::string::npos);
  }
  auto b = random_batch<float>(3, 40, 3);
  b.student[40 + 5] = b.teacher[40 + 5] = -infinity<float>;
  lk::workspace ws;
  CHECK(std::isfinite(run_objective(lk::forward_kl{} + lk::mse{}, b, ws).loss));
  CHECK(sentence([&] { run_objective(lk::forward_kl{} + lk::l1{}, b, ws); }) ==
        "limbeck: student is -inf at row 1, column 5, expected a finite number");
  b.student[40 + 5] = 0;
  CHECK(sentence([&] { run_objective(lk::cross_entropy{} + lk::cosine_loss{}, b, ws); }) ==
        "limbeck: teacher is -inf at row 1, column 5, expected a finite number");
}

TEST_CASE("rows without an angle, and rows without a distance") {
  for (const auto& loss : regression_specimens()) {
    if (loss.name != "cosine_loss" && loss.name != "row_distance") continue;
    auto b = random_batch<double>(3, 5, 3);
    std::fill_n(b.student.begin(), 5, 0.0);
    std::fill_n(b.teacher.begin() + 5, 5, 0.0);
    std::copy_n(b.teacher.begin() + 10, 5, b.student.begin() + 10);
    const auto got = loss(b, 1);
    if (loss.name == "cosine_loss") {
      CHECK(got.values[0] == 1);
      CHECK(got.values[1] == 1);
      CHECK(std::all_of(got.gradient.begin(), got.gradient.begin() + 10, [](double g) { return g == 0; }));
    }
    CHECK(got.values[2] == 0);
    CHECK(std::all_of(got.gradient.begin() + 10, got.gradient.end(), [](double g) { return g == 0; }));
  }
}

TEST_CASE("the general robust loss by its names, and between them") {
  for (const double u : {-40.0, -0.7, -1e-6, 0.0, 1e-3, 0.5, 3.0, 1e5}) {
    const auto rho = [&](double alpha) { return value_at(lk::barron{.alpha = alpha, .scale = 0.5}, 0.5 * u, 0); };
    INFO("u = " << u);
    CHECK(rho(2) == Approx(u * u / 2).epsilon(1e-12));
    CHECK(rho(1) == Approx(u * u / (std::sqrt(u * u + 1) + 1)).epsilon(1e-12));
    CHECK(rho(0) == Approx(std::log1p(u * u / 2)).epsilon(1e-12));
    CHECK(rho(-2) == Approx(2 * u * u / (u * u + 4)).epsilon(1e-12));
    CHECK(rho(-inf) == Approx(-std::expm1(-u * u / 2)).epsilon(1e-12));
    CHECK(rho(2 - 1e-9) == Approx(rho(2)).epsilon(1e-7));
    CHECK(rho(1e-12) == Approx(rho(0)).epsilon(1e-9));
    CHECK(rho(-1e-12) == Approx(rho(0)).epsilon(1e-9));
    CHECK(rho(-1e13) == Approx(rho(-inf)).epsilon(1e-9));
  }
  const double near = 2 - 1e-9;  // a power beyond all numbers, times what brings it back
  const real a = near, by_hand = std::pow(1e300L / (2 - a) + 1, a / 2) * (2 - a) / a;
  CHECK(value_at(lk::barron{.alpha = near}, 1e150, 0) == Approx(static_cast<double>(by_hand)).epsilon(1e-9));
  CHECK(sentence([] { lk::barron{.alpha = 2.5}.check(); }) == "limbeck: barron.alpha is 2.5, expected at most 2");
  CHECK(sentence([] { lk::barron{.scale = 0}.check(); }) == "limbeck: barron.scale is 0, expected a positive, finite number");
  CHECK(sentence([] { lk::smooth_l1{.beta = -1}.check(); }) ==
        "limbeck: smooth_l1.beta is -1, expected a finite number from 0 up");
}

TEST_CASE("what the teacher's side of a loss is") {
  const auto check = [](const auto& loss, double s, double t) {
    const double h = 1e-6, slope = (value_at(loss, s, t + h) - value_at(loss, s, t - h)) / (2 * h);
    CHECK(loss.teacher_flow(at(s, t)).v == Approx(slope).epsilon(1e-7).margin(1e-9));
  };
  for (const double s : {-3.0, -0.2, 0.4, 2.0})
    for (const double t : {0.1, 0.35, 0.9}) {
      check(lk::mse{}, s, t);
      check(lk::l1{}, s, t);
      check(lk::smooth_l1{.beta = 0.45}, s, t);
      for (const double alpha : {2.0, 1.0, 0.0, -2.0, -inf}) check(lk::barron{.alpha = alpha, .scale = 0.7}, s, t);
      check(lk::bce_with_logits{.positive_weight = 2.5}, s, t);
      check(lk::bernoulli_kl{}, s, t);
      lk::point<X> x{};
      x.p = X(t), x.q = X(0.3), x.difference = x.q - x.p;
      CHECK(lk::squared_probabilities{}.teacher_flow(x).v == Approx(2 * t * (t - 0.3)));
    }
}

TEST_CASE("a regression into both sides") {
  const lk::objective both{lk::smooth_l1{.beta = 0.45} + lk::barron{.alpha = 0.5} + 10 * lk::squared_probabilities{} +
                           lk::bce_with_logits{}};
  const auto b = random_batch<double>(2, 5, 4);
  std::vector<double> g(b.size()), of_teacher(b.size());
  both(b.s(), b.t(), lk::into(lk::rows<double>(g.data(), 2, 5)), lk::into_teacher(lk::rows<double>(of_teacher.data(), 2, 5)));
  for (std::size_t i = 0; i < b.size(); ++i) {
    auto up = b, down = b;
    up.teacher[i] += 1e-5, down.teacher[i] -= 1e-5;
    CHECK((both.value(up.s(), up.t()) - both.value(down.s(), down.t())) / 2e-5 == Approx(of_teacher[i]).epsilon(1e-6).margin(1e-8));
  }
}

TEST_CASE("KL of Beta distributions") {
  // by hand: the uniform against 6x(1-x) and back, 2(1-x) against 3x^2
  const batch<double> known{3, 2, {2, 2, 1, 1, 3, 1}, {1, 1, 2, 2, 1, 2}, {0, 0, 0}};
  const auto got = run(lk::objective{lk::beta_kl{}}, known);
  CHECK(got.values[0] == Approx(2 - std::log(6.0)).epsilon(1e-13));
  CHECK(got.values[1] == Approx(std::log(6.0) - 5.0 / 3).epsilon(1e-13));
  CHECK(got.values[2] == Approx(2.5 + std::log(2.0 / 3)).epsilon(1e-13));

  // two distributions a row, by the trapezoids of sum p log(p/q), and the mean of both
  const batch<double> b{2, 4, {2.5, 7, 3, 30, 4, 2.2, 2.1, 5}, {3, 6, 3, 25, 2.5, 12, 8, 4}, {0, 0}};
  const auto two = run(lk::objective{lk::beta_kl{}}, b);
  const auto log_density = [](real x, real a, real c) {
    return (a - 1) * std::log(x) + (c - 1) * std::log1p(-x) + std::lgamma(a + c) - std::lgamma(a) - std::lgamma(c);
  };
  for (std::size_t r = 0; r < 2; ++r) {
    real expected = 0;
    for (std::size_t i = 4 * r; i < 4 * r + 2; ++i)
      for (int k = 1; k < 20000; ++k) {
        const real x = k / 20000.0L, p = log_density(x, b.teacher[i], b.teacher[i + 2]);
        expected += std::exp(p) * (p - log_density(x, b.student[i], b.student[i + 2])) / 20000 / 2;
      }
    CHECK(two.values[r] == Approx(static_cast<double>(expected)).epsilon(1e-5));
  }
  check_slopes(lk::objective{lk::beta_kl{}}, b);

  auto alike = b;
  alike.student = b.teacher;
  CHECK(run(lk::objective{lk::beta_kl{}}, alike).loss == 0);
  auto odd = b;
  odd.student[7] = 0;
  CHECK(sentence([&] { run(lk::objective{lk::beta_kl{}}, odd); }) ==
        "limbeck: student is 0 at row 1, column 3, expected a positive parameter of beta_kl");
  odd.student[7] = 1, odd.teacher[2] = -3;
  CHECK(sentence([&] { run(lk::objective{lk::beta_kl{}}, odd); }) ==
        "limbeck: teacher is -3 at row 0, column 2, expected a positive parameter of beta_kl");
  CHECK_THROWS_AS(run(lk::objective{lk::beta_kl{}}, random_batch<double>(2, 3)), lk::shape_error);
}

TEST_CASE("a weight for each element") {
  const auto b = random_batch<double>(3, 37, 8);
  std::vector<double> w(b.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<double>(i % 5) - 0.5;
  const lk::rows<const double> weights(w.data(), 3, 37);
  const lk::smooth_l1 plain{.beta = 0.3};
  const lk::objective weighed{lk::at_temperature(2.0, lk::element_weights(weights, plain))};
  const auto got = run(weighed, b);
  for (std::size_t r = 0; r < 3; ++r) {
    double expected = 0;
    for (std::size_t c = 0; c < 37; ++c)
      expected += w[r * 37 + c] * value_at(plain, b.student[r * 37 + c] / 2, b.teacher[r * 37 + c] / 2);
    CHECK(got.values[r] == Approx(expected * 4 / 37).epsilon(1e-12));
  }
  check_slopes(weighed, b);
  std::fill(w.begin(), w.end(), 1.0);
  const auto ones = run(weighed, b);
  for (const auto& loss : regression_specimens()) {
    if (loss.title() != "smooth_l1(0.300000)") continue;
    const auto without = loss(b, 2);
    for (std::size_t i = 0; i < b.size(); ++i) CHECK(ones.gradient[i] == Approx(4 * without.gradient[i]).epsilon(1e-14));
    CHECK(ones.loss == Approx(4 * without.loss).epsilon(1e-14));
  }
  CHECK_THROWS_WITH(run(weighed, random_batch<double>(2, 37)),
                    "limbeck: element_weights has shape 3 x 37, expected 2 x 37 (samples x classes)");
}

TEST_CASE("rates: what is sent, and what is searched") {
  // k bits an element under a uniform prior over 2^k bins
  batch<double> b{2, 3, std::vector<double>(6, 1.0 / 32), std::vector<double>(6), {0, 0}};
  const auto even = run(lk::objective{lk::bits{}}, b);
  CHECK(even.values[1] == Approx(5).epsilon(1e-14));
  CHECK(even.gradient[0] == Approx(-32 / std::log(2.0) / 3).epsilon(1e-14));
  b.student = {0.5, 0.2, 1, 1e-12, 0, 0.7};
  const auto mixed = run(lk::objective{lk::bits{}}, b);
  CHECK(mixed.values[0] == Approx(std::log2(10.0) / 3).epsilon(1e-13));
  CHECK(mixed.values[1] == Approx((2 * std::log2(1e9) - std::log2(0.7)) / 3).epsilon(1e-13));
  CHECK_THROWS_AS(lk::bits{}.check_call(2, 3, 2.0, 1.0), lk::value_error);

  const lk::objective searched{lk::flops{}};
  const auto call = [&](const batch<double>& x, std::vector<double>& g) {
    return searched(x.s(), lk::into(lk::rows<double>(g.data(), x.samples, x.classes))).loss;
  };
  const auto a = random_batch<double>(5, 7, 2);
  std::vector<double> g(a.size()), unused(a.size());
  double expected = 0;
  for (std::size_t c = 0; c < 7; ++c) {
    double mean = 0;
    for (std::size_t r = 0; r < 5; ++r) mean += std::fabs(a.student[r * 7 + c]) / 5;
    expected += mean * mean;
  }
  CHECK(call(a, g) == Approx(expected).epsilon(1e-13));
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto up = a, down = a;
    up.student[i] += 1e-5, down.student[i] -= 1e-5;
    CHECK((call(up, unused) - call(down, unused)) / 2e-5 == Approx(g[i]).epsilon(1e-6));
  }
  auto odd = a;
  odd.student[9] = -inf;
  CHECK(sentence([&] { call(odd, g); }) == "limbeck: student is -inf at row 1, column 2, expected a finite number");
}

TEST_CASE("reverse cross-entropy: what a wrong label costs is bounded") {
  const auto b = random_batch<double>(4, 11, 6);
  const lk::objective objective{lk::unscaled(lk::at_temperature(2.0, lk::reverse_cross_entropy{.log_zero = -6}))};
  const auto got = run(objective, b);
  for (std::size_t r = 0; r < 4; ++r) {
    const auto y = static_cast<std::size_t>(b.labels[r]);
    const auto row = row_of(&b.student[r * 11], &b.teacher[r * 11], 11, y, 2, 2).softmaxes();
    CHECK(got.values[r] == Approx(6 * (1 - static_cast<double>(row[y].q))).epsilon(1e-12));
  }
  check_slopes(objective, b);
}
