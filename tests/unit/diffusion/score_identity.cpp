// Score identity distillation: its value and its three gradients, by every weight, alone, by fill and in one call of outputs.
#include "catch.hpp"

#include <limbeck/diffusion/score_identity.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Message;

namespace {

constexpr std::size_t samples = 5, columns = 11;
using matrix = std::vector<double>;
lk::rows<const double> view(const matrix& x) { return {x.data(), samples, columns}; }
lk::rows<double> view(matrix& x) { return {x.data(), samples, columns}; }

struct problem {
  matrix x = drawn(1), real = drawn(2), fake = drawn(3), t{0.1, 0.35, 0.5, 0.8, 0.95};
  static matrix drawn(std::uint64_t seed) {
    lk::random_stream random(seed);
    matrix m(samples * columns);
    for (double& v : m) v = random.normal();
    return m;
  }
};

/// The definition, of one element.
long double value(long double w, long double alpha, long double x, long double real, long double fake) {
  return w * (real - fake) * ((real - x) - alpha * (real - fake));
}
/// 1/omega of a row.
long double inverse_distance(const problem& p, std::size_t r) {
  long double total = 0;
  for (std::size_t c = 0; c < columns; ++c)
    total += std::abs(static_cast<long double>(p.x[r * columns + c]) - p.real[r * columns + c]);
  return 1 / std::max(1e-5L, total / columns);
}

/// Holds the value and the three gradients against the definition, whose derivatives are differences with w held fixed; exact
/// ones, as it is of degree 2.
template <class Identity>
void check(const problem& p, const Identity& identity, long double alpha, const std::function<long double(std::size_t)>& weight) {
  matrix v(p.x.size()), by_x(v), by_real(v), by_fake(v);
  const auto to = [](matrix& m) { return view(m); };
  lk::fill(identity, to(v)), lk::fill(identity.by_sample(), to(by_x)), lk::fill(identity.by_real(), to(by_real)),
      lk::fill(identity.by_fake(), to(by_fake));
  for (std::size_t i = 0; i < v.size(); ++i) {
    const long double w = weight(i / columns), x = p.x[i], real = p.real[i], fake = p.fake[i], h = 0.25L;
    const auto close = [&](double got, long double want) {
      CHECK(got == Approx(static_cast<double>(want)).epsilon(1e-12).margin(1e-13 * static_cast<double>(w)));
    };
    close(v[i], value(w, alpha, x, real, fake));
    close(by_x[i], (value(w, alpha, x + h, real, fake) - value(w, alpha, x - h, real, fake)) / (2 * h));
    close(by_real[i], (value(w, alpha, x, real + h, fake) - value(w, alpha, x, real - h, fake)) / (2 * h));
    close(by_fake[i], (value(w, alpha, x, real, fake + h) - value(w, alpha, x, real, fake - h)) / (2 * h));
    CHECK(by_x[i] + by_real[i] + by_fake[i] == Approx(0).margin(1e-13 * static_cast<double>(w)));
  }
}

}  // namespace

TEST_CASE("score identity: the value and its three gradients are the definition's, with the weight held fixed", "[diffusion]") {
  const problem p;
  for (const double alpha : {0.0, 0.5, 1.0, 1.2, -3.0})
    check(p, lk::score_identity(view(p.x), view(p.real), view(p.fake), {.alpha = alpha}), alpha,
          [&](std::size_t r) { return inverse_distance(p, r); });
}

TEST_CASE("score identity: the weights by level are those of the authors' code", "[diffusion]") {
  const problem p;
  const auto at = lk::levels(lk::rectified{}, p.t);
  const auto expect = [&](const lk::power_weight& power, const std::function<long double(long double)>& w) {
    check(p, lk::score_identity(view(p.x), view(p.real), view(p.fake), at, power, {.alpha = 1.2}), 1.2L,
          [&](std::size_t r) { return w(p.t[r]); });
  };
  const auto clipped = [](long double x) { return 1 / std::max(1e-5L, x); };
  expect({}, [](long double s) { return 1 - s; });
  expect({2, 0}, [](long double s) { return (1 - s) * (1 - s); });
  expect({0, 1}, [&](long double s) { return clipped(s); });
  expect({0, 2}, [&](long double s) { return clipped(s * s); });
  expect({1, 1}, [&](long double s) { return clipped(s / (1 - s)); });
  expect({2, 2}, [&](long double s) { return clipped(s / (1 - s) * s / (1 - s)); });
  expect({0, 0}, [](long double) { return 1.0L; });
}

TEST_CASE("score identity: at the ends of time the weights are finite", "[diffusion]") {
  const problem p;
  const matrix ends{0, 1, 0, 1, 1e-9};
  const auto at = lk::levels(lk::rectified{}, ends);
  matrix one(p.x.size()), g(p.x.size());
  lk::fill(lk::score_identity(view(p.x), view(p.real), view(p.fake), at, {0, 0}), view(one));
  for (const lk::power_weight power : {lk::power_weight{1, 0}, {2, 0}, {0, 1}, {0, 2}, {1, 1}, {2, 2}}) {
    lk::fill(lk::score_identity(view(p.x), view(p.real), view(p.fake), at, power), view(g));
    const auto weight_of = [&](std::size_t r) { return g[r * columns] / one[r * columns]; };
    CHECK(weight_of(0) == Approx(power.noise > 0 ? 1e5 : 1.0));                 // no noise
    CHECK(weight_of(1) == Approx(power.signal > 0 ? 0.0 : 1.0).margin(1e-12));  // nothing else
    CHECK(weight_of(4) == Approx(power.noise > 0 ? 1e5 : 1.0).epsilon(1e-6));
  }
}

TEST_CASE("score identity: at alpha 1/2 it is half a difference of squares, at 1 a product", "[diffusion]") {
  const problem p;
  matrix half(p.x.size()), whole(p.x.size()), g(p.x.size());
  const auto at = lk::levels(lk::rectified{}, 0.5);
  lk::fill(lk::score_identity(view(p.x), view(p.real), view(p.fake), at, {0, 0}, {.alpha = 0.5}), view(half));
  lk::fill(lk::score_identity(view(p.x), view(p.real), view(p.fake), at, {0, 0}), view(whole));
  for (std::size_t i = 0; i < half.size(); ++i) {
    const double a = p.real[i] - p.x[i], b = p.fake[i] - p.x[i];
    CHECK(half[i] == Approx(0.5 * (a * a - b * b)).epsilon(1e-10).margin(1e-14));
    CHECK(whole[i] == Approx((p.real[i] - p.fake[i]) * b).epsilon(1e-12).margin(1e-15));
  }
  // two denoisers that agree, as at the end: no value, none by the sample, and what goes through them cancels
  const auto agreed = lk::score_identity(view(p.x), view(p.real), view(p.real), {.alpha = 0.3});
  lk::fill(agreed, view(half)), lk::fill(agreed.by_sample(), view(g));
  for (std::size_t i = 0; i < half.size(); ++i) CHECK((half[i] == 0 && g[i] == 0));
  lk::fill(agreed.by_real(), view(half)), lk::fill(agreed.by_fake(), view(g));
  for (std::size_t i = 0; i < half.size(); ++i) CHECK((half[i] != 0 && half[i] + g[i] == 0));
}

TEST_CASE("score identity: by the sample it is distribution matching's gradient, up to what both divide by", "[diffusion]") {
  const problem p;
  matrix ours(p.x.size());
  lk::fill(lk::score_identity(view(p.x), view(p.real), view(p.fake)).by_sample(), view(ours));
  for (std::size_t i = 0; i < ours.size(); ++i)
    CHECK(ours[i] == Approx(static_cast<double>(inverse_distance(p, i / columns)) * (p.fake[i] - p.real[i])).epsilon(1e-12));
}

TEST_CASE("score identity: a sample that is the teacher's is divided by the floor", "[diffusion]") {
  problem p;
  std::copy_n(p.real.begin(), columns, p.x.begin());
  matrix g(p.x.size());
  lk::fill(lk::score_identity(view(p.x), view(p.real), view(p.fake), {.floor = 0.25}).by_sample(), view(g));
  for (std::size_t c = 0; c < columns; ++c) CHECK(g[c] == Approx(4 * (p.fake[c] - p.real[c])).epsilon(1e-12));
}

TEST_CASE("score identity: three outputs of a student get their gradients in one call", "[diffusion][outputs]") {
  const problem p;
  const auto identity = lk::score_identity(view(p.x), view(p.real), view(p.fake), {.alpha = 1.2});
  constexpr lk::specified_gradient specified;
  const auto objective = lk::at<"sample">(specified) + lk::at<"real">(specified) + lk::at<"fake">(specified);
  const auto x = view(p.x), real = view(p.real), fake = view(p.fake);
  const auto by_sample = identity.by_sample();
  const auto by_real = identity.by_real();
  const auto by_fake = identity.by_fake();
  const lk::outputs student{lk::output<"sample">(x), lk::output<"real">(real), lk::output<"fake">(fake)};
  const lk::outputs teacher{lk::output<"sample">(by_sample), lk::output<"real">(by_real), lk::output<"fake">(by_fake)};
  const std::vector<double> weights{1, 0, 2, 0.5, 1};
  matrix a(p.x.size()), b(a), c(a), wanted(a);
  lk::outputs gradients{lk::output<"sample">(view(a)), lk::output<"real">(view(b)), lk::output<"fake">(view(c))};
  const lk::evaluation e = objective(student, teacher, lk::row_weights(weights), lk::into(gradients));
  double half_squares = 0;
  const auto compare = [&](const auto& formula, const matrix& got) {
    lk::fill(formula, view(wanted));
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i] == Approx(weights[i / columns] / 4.5 * wanted[i] / columns).epsilon(1e-12).margin(1e-300));
      half_squares += weights[i / columns] / 4.5 * 0.5 * wanted[i] * wanted[i] / columns;
    }
  };
  compare(by_sample, a), compare(by_real, b), compare(by_fake, c);
  CHECK(e.loss == Approx(half_squares).epsilon(1e-12));
}

TEST_CASE("score identity: a formula of formulas: predictions of velocity, converted on the way", "[diffusion]") {
  const problem p;
  const lk::rectified path;
  const auto at = lk::levels(path, p.t);
  matrix noise = problem::drawn(4), noisy(p.x.size()), clean(p.x.size()), other(p.x.size()), direct(p.x.size()),
         nested(p.x.size());
  const auto n = view(std::as_const(noise));
  lk::fill(lk::noised(view(p.x), n, at), view(noisy));
  const auto y = view(std::as_const(noisy));
  lk::fill(lk::to_clean(lk::predicts_velocity{}, view(p.real), y, at), view(clean));
  lk::fill(lk::to_clean(lk::predicts_noise{}, view(p.fake), y, at), view(other));
  lk::fill(lk::score_identity(view(p.x), view(std::as_const(clean)), view(std::as_const(other)), {.alpha = 0.7}).by_fake(),
           view(direct));
  const auto made = lk::noised(view(p.x), n, at);  // nothing stored between
  lk::fill(lk::score_identity(view(p.x), lk::to_clean(lk::predicts_velocity{}, view(p.real), made, at),
                              lk::to_clean(lk::predicts_noise{}, view(p.fake), made, at), {.alpha = 0.7})
               .by_fake(),
           view(nested));
  for (std::size_t i = 0; i < direct.size(); ++i) CHECK(nested[i] == Approx(direct[i]).epsilon(1e-11));
}

TEST_CASE("score identity: the three gradients in one pass are those of three", "[diffusion]") {
  const problem p;
  const auto at = lk::levels(lk::rectified{}, p.t);
  const auto compare = [&](const auto& identity) {
    std::vector<matrix> three(3, matrix(p.x.size())), one(3, matrix(p.x.size(), 7)), turned(one);
    lk::fill(identity.by_sample(), view(three[0])), lk::fill(identity.by_real(), view(three[1]));
    lk::fill(identity.by_fake(), view(three[2]));
    lk::fill_gradients(identity, view(one[0]), view(one[1]), view(one[2]));
    CHECK(one == three);
    // columns that are not side by side
    const auto columns_first = [](matrix& m) { return lk::rows<double>(m.data(), samples, columns, 1, samples); };
    lk::fill_gradients(identity, columns_first(turned[0]), columns_first(turned[1]), columns_first(turned[2]));
    for (std::size_t k = 0; k < 3; ++k)
      for (std::size_t i = 0; i < p.x.size(); ++i) CHECK(turned[k][i % columns * samples + i / columns] == three[k][i]);
  };
  compare(lk::score_identity(view(p.x), view(p.real), view(p.fake), {.alpha = 1.2}));
  compare(lk::score_identity(view(p.x), lk::to_clean(lk::predicts_velocity{}, view(p.real), view(p.x), at), view(p.fake), at,
                             {1, 1}));
  matrix good(p.x.size(), 7), small(p.x.size(), 7);
  const auto identity = lk::score_identity(view(p.x), view(p.real), view(p.fake));
  CHECK_THROWS_AS(lk::fill_gradients(identity, view(good), lk::rows<double>(small.data(), samples, columns - 1), view(small)),
                  lk::shape_error);
  CHECK(good == matrix(p.x.size(), 7));
}

TEST_CASE("score identity: what is wrong is said", "[diffusion]") {
  const problem p;
  const auto x = view(p.x), real = view(p.real), fake = view(p.fake);
  constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_MATCHES(lk::score_identity(x, real, fake, {.alpha = infinity}), lk::value_error,
                       Message("limbeck: alpha of score_identity is inf, expected a finite number"));
  CHECK_THROWS_MATCHES(lk::score_identity(x, real, fake, {.floor = 0}), lk::value_error,
                       Message("limbeck: floor of score_identity is 0, expected a positive, finite number"));
  CHECK_THROWS_MATCHES(lk::score_identity(x, real, fake, lk::levels(lk::rectified{}, 0.5), {-1, 0}), lk::value_error,
                       Message("limbeck: a power of power_weight is -1, expected a finite number of at least 0"));
  const std::vector<double> few{0.1, 0.2};
  CHECK_THROWS_AS(lk::score_identity(x, real, fake, lk::levels(lk::rectified{}, few), {1, 0}), lk::shape_error);
  const lk::rows<const double> narrow(p.x.data(), samples, columns - 1);
  CHECK_THROWS_AS(lk::score_identity(x, narrow, fake), lk::shape_error);
  // a NaN of any of the three is the row's, and the call that reads it names it
  for (matrix problem::*part : {&problem::x, &problem::real, &problem::fake}) {
    problem spoilt;
    (spoilt.*part)[3 * columns + 10] = nan;
    const auto g =
        lk::score_identity(view(std::as_const(spoilt.x)), view(std::as_const(spoilt.real)), view(std::as_const(spoilt.fake)))
            .by_real();
    CHECK_THROWS_WITH(lk::objective{lk::specified_gradient{}}(x, g), Catch::Matchers::Contains("row 3"));
  }
}
