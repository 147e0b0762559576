// Logit standardisation: values and gradients against central differences in long double.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/logits.hpp>
#include <limbeck/loss/logits/decoupled.hpp>
#include <limbeck/objective/report.hpp>

#include <cmath>
#include <sstream>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

using real = long double;
using reals = std::vector<real>;

/// (x - mean)/(1e-7 + std), as the paper's code has it; a class at -inf is none.
reals standardise(const reals& x) {
  real n = 0, mean = 0, squares = 0;
  for (const real v : x)
    if (std::isfinite(v)) n += 1, mean += v;
  mean /= n;
  for (const real v : x)
    if (std::isfinite(v)) squares += (v - mean) * (v - mean);
  reals z;
  for (const real v : x) z.push_back((v - mean) / (1e-7L + std::sqrt(squares / (n - 1))));
  return z;
}
reals log_softmax_at(reals x, real t) {
  real high = -infinity<real>, sum = 0;
  for (real& v : x) high = std::max(high, v /= t);
  for (const real v : x) sum += std::exp(v - high);
  for (real& v : x) v -= high + std::log(sum);
  return x;
}
real kl(const reals& teacher, const reals& student, real teacher_t, real student_t) {
  const reals p = log_softmax_at(teacher, teacher_t), q = log_softmax_at(student, student_t);
  real sum = 0;
  for (std::size_t c = 0; c < p.size(); ++c)
    if (std::isfinite(p[c])) sum += std::exp(p[c]) * (p[c] - q[c]);
  return student_t * student_t * sum;
}

template <class T>
reals row_of(const std::vector<T>& x, std::size_t r, std::size_t classes) {
  return reals(x.begin() + static_cast<std::ptrdiff_t>(r * classes), x.begin() + static_cast<std::ptrdiff_t>((r + 1) * classes));
}

/// The mean over the rows of loss(student's row, teacher's row, label) and its gradient, against an objective.
template <class T, class Objective, class Reference>
void check(const batch<T>& b, const Objective& objective, const Reference& of_row, double digits) {
  const std::size_t n = b.classes;
  std::vector<T> g(b.size()), losses(b.samples);
  objective(b.s(), b.t(), b.labels, lk::row_losses(losses), lk::into(lk::rows<T>(g.data(), b.samples, n)), lk::unread_is_fine);
  for (std::size_t r = 0; r < b.samples; ++r) {
    const reals s = row_of(b.student, r, n), t = row_of(b.teacher, r, n);
    const auto y = static_cast<std::size_t>(b.labels[r]);
    INFO("row " << r);
    CHECK(losses[r] == Approx(static_cast<double>(of_row(s, t, y))).epsilon(digits).margin(digits * 1e-2));
    real largest = 0;
    reals slopes(n, 0);
    for (std::size_t c = 0; c < n; ++c) {
      if (!std::isfinite(s[c])) continue;
      const real h = 1e-5L * std::max<real>(1, std::abs(s[c]) * 1e-2L);
      reals up = s, down = s;
      up[c] += h, down[c] -= h;
      slopes[c] = (of_row(up, t, y) - of_row(down, t, y)) / (2 * h) / static_cast<real>(b.samples);
      largest = std::max(largest, std::abs(slopes[c]));
    }
    for (std::size_t c = 0; c < n; ++c)
      CHECK(std::abs(g[r * n + c] - slopes[c]) <= (digits + 1e-8L) * largest);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("standardized: value and gradient", "", double, float) {
  const double digits = sizeof(TestType) == 4 ? 2e-5 : 1e-11;
  for (const std::size_t classes : {3u, 9u, 37u, 200u}) {
    auto b = random_batch<TestType>(5, classes, 7, 1.5);
    for (TestType& x : b.student) x += TestType(30);  // no matter where the logits lie
    INFO(classes << " classes");
    check(b, lk::objective{lk::at_temperature(lk::standardized(2.0), lk::forward_kl{})},
          [](const reals& s, const reals& t, std::size_t) { return kl(standardise(t), standardise(s), 2, 2); },
          digits * 10);
  }
}

TEST_CASE("standardized: beside other temperatures, in one call") {
  auto b = random_batch<double>(6, 21, 3, 1.5);
  for (const std::size_t at : {4u, 11u, 19u}) b.student[2 * 21 + at] = b.teacher[2 * 21 + at] = -infinity<double>;
  b.labels[2] = 0;
  const auto objective = 0.3 * lk::cross_entropy{} + 0.2 * lk::at_temperature(3.0, lk::forward_kl{}) +
                         0.4 * lk::at_temperature(lk::standardized(2.0), lk::forward_kl{}) +
                         0.1 * lk::at_temperature(lk::standardized(0.5), lk::cross_entropy{}) +
                         0.5 * lk::at_temperature(lk::standardized(1.5), 4.0, lk::forward_kl{});
  const auto of_row = [](const reals& s, const reals& t, std::size_t y) {
    const reals zs = standardise(s), zt = standardise(t);
    return -0.3L * log_softmax_at(s, 1)[y] + 0.2L * kl(t, s, 3, 3) + 0.4L * kl(zt, zs, 2, 2) -
           0.1L * 0.5L * log_softmax_at(zs, 0.5L)[y] + 0.5L * kl(t, zs, 4, 1.5L);
  };
  check(b, objective, of_row, 1e-10);
}

TEST_CASE("standardized: dkd is of the standardised logits; a schedule moves T; signals read it") {
  const auto b = random_batch<double>(4, 10, 5);
  batch<double> z = b;
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t c = 0; c < 10; ++c) {
      z.student[r * 10 + c] = static_cast<double>(standardise(row_of(b.student, r, 10))[c]);
      z.teacher[r * 10 + c] = static_cast<double>(standardise(row_of(b.teacher, r, 10))[c]);
    }
  const auto same = [&](const auto& standardised, const auto& plain) {
    CHECK(standardised.value(b.s(), b.t(), b.labels, lk::progress(0.25), lk::unread_is_fine) ==
          Approx(plain.value(z.s(), z.t(), b.labels, lk::progress(0.25), lk::unread_is_fine)).epsilon(1e-10));
  };
  same(lk::objective{lk::at_temperature(lk::standardized(2.0), lk::dkd{})}, lk::objective{lk::at_temperature(2.0, lk::dkd{})});
  same(lk::objective{lk::at_temperature(lk::standardized(lk::linear(1.0, 5.0)), lk::forward_kl{})},
       lk::objective{lk::at_temperature(2.0, lk::forward_kl{})});
  same(lk::at_temperature(lk::standardized(2.0), lk::of_teacher(lk::confidence{}) * lk::reverse_kl{}),
       lk::at_temperature(2.0, lk::of_teacher(lk::confidence{}) * lk::reverse_kl{}));
}

TEST_CASE("standardized: the gradient of dkd") {
  const auto b = random_batch<double>(4, 7, 11, 1.5);
  const auto of_row = [](const reals& s, const reals& t, std::size_t y) {
    const reals log_p = log_softmax_at(standardise(t), 2), log_q = log_softmax_at(standardise(s), 2);
    const real p = std::exp(log_p[y]), q = std::exp(log_q[y]);
    reals others_p = standardise(t), others_q = standardise(s);
    others_p[y] = others_q[y] = -infinity<real>;
    return 4 * (p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q))) + 3 * kl(others_p, others_q, 2, 2);
  };
  check(b, lk::objective{lk::at_temperature(lk::standardized(2.0), lk::dkd{.alpha = 1, .beta = 3})}, of_row, 1e-9);
}

TEST_CASE("standardized: weights, micro-batches and what is staged") {
  auto b = random_batch<double>(6, 13, 9);
  const auto objective = lk::at_temperature(lk::standardized(2.0), lk::forward_kl{}) + lk::cross_entropy{};
  const std::vector<double> weights{1, 0.5, 0, 2, 1, 3};
  std::vector<double> whole(b.size()), parts(b.size()), turned(b.size()), student(b.size());
  const double value =
      objective(b.s(), b.t(), b.labels, lk::row_weights(weights), lk::into(lk::rows<double>(whole.data(), 6, 13))).loss;
  double sum = 0;
  for (std::size_t half = 0; half < 2; ++half) {
    const std::size_t at = half * 3;
    sum += objective(lk::rows<const double>(b.student.data() + at * 13, 3, 13),
                     lk::rows<const double>(b.teacher.data() + at * 13, 3, 13), std::span(b.labels).subspan(at, 3),
                     lk::row_weights(std::span(weights).subspan(at, 3)), lk::mean_over(7.5),
                     lk::into(lk::rows<double>(parts.data() + at * 13, 3, 13)))
               .loss;
  }
  CHECK(sum == Approx(value).epsilon(1e-12));
  for (std::size_t r = 0; r < 6; ++r)
    for (std::size_t c = 0; c < 13; ++c) student[c * 6 + r] = b.student[r * 13 + c];
  objective(lk::rows<const double>(student.data(), 6, 13, 1, 6), b.t(), b.labels, lk::row_weights(weights),
            lk::into(lk::rows<double>(turned.data(), 6, 13, 1, 6)));
  for (std::size_t r = 0; r < 6; ++r)
    for (std::size_t c = 0; c < 13; ++c) {
      CHECK(parts[r * 13 + c] == Approx(whole[r * 13 + c]).epsilon(1e-11).margin(1e-15));
      CHECK(turned[c * 6 + r] == Approx(whole[r * 13 + c]).epsilon(1e-11).margin(1e-15));
    }
}

TEST_CASE("standardized: equal logits, and what is no logit") {
  auto b = random_batch<float>(2, 8, 1);
  std::fill_n(b.student.begin(), 8, 3.0f);
  std::vector<float> g(b.size());
  const auto objective = lk::objective{lk::at_temperature(lk::standardized(2.0), lk::forward_kl{})};
  const auto e = objective(b.s(), b.t(), lk::into(lk::rows<float>(g.data(), 2, 8)));
  CHECK(std::isfinite(e.loss));
  // at the deviation's eps: T^2 (q - p) / (T eps) over two rows, and the deviation has no slope
  const reals p = log_softmax_at(standardise(row_of(b.teacher, 0, 8)), 2);
  for (std::size_t c = 0; c < 8; ++c)
    CHECK(g[c] == Approx(static_cast<double>(0.125L - std::exp(p[c])) * 2 / 1e-7 / 2).epsilon(1e-4));
  b.student[10] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(objective.value(b.s(), b.t()), lk::value_error);
  b.student[10] = 1e25f;  // its square is none
  CHECK_THROWS_AS(objective.value(b.s(), b.t()), lk::value_error);
  CHECK_THROWS_AS((lk::at_temperature(lk::standardized(0.0), lk::forward_kl{}).value(b.s(), b.t())), lk::value_error);
}

TEST_CASE("standardized: two logits are always those two, so nothing moves them") {
  const std::vector<double> student{1, 4}, teacher{3, 2};
  std::vector<double> g(2);
  const auto objective = lk::objective{lk::at_temperature(lk::standardized(1.0), lk::forward_kl{})};
  const auto e = objective(lk::rows<const double>(student.data(), 1, 2), lk::rows<const double>(teacher.data(), 1, 2),
                           lk::into(lk::rows<double>(g.data(), 1, 2)));
  const double half = std::sqrt(0.5);
  const reals low{-half, half}, high{half, -half};
  CHECK(e.loss == Approx(static_cast<double>(kl(high, low, 1, 1))).epsilon(1e-6));
  CHECK(std::abs(g[0]) < 1e-6);
  CHECK(std::abs(g[1]) < 1e-6);
}

TEST_CASE("standardized: the plan says so") {
  std::ostringstream text;
  text << lk::at_temperature(lk::standardized(2.0), lk::forward_kl{}).plan();
  CHECK(text.str().find("2 deviations") != std::string::npos);
}
