// Targets made of one teacher: TAID, label mixes, powers, customised labels.

#include <limbeck/target/interpolation.hpp>
#include <limbeck/target/label_mix.hpp>
#include <limbeck/target/power_transform.hpp>
#include <limbeck/target/shifted.hpp>
#include <limbeck/target/zipf_labels.hpp>

#include "cases.hpp"

using namespace limbeck_test;
using Catch::Matchers::Contains;

namespace {

/// Saves or loads what a policy serializes.
struct archive {
  std::vector<double> values;
  bool loading = false;
  std::size_t at = 0;
  template <class X>
  void operator()(const char*, X& x) {
    if (loading) {
      x = static_cast<X>(values.at(at++));
    } else {
      values.push_back(static_cast<double>(x));
    }
  }
};

}  // namespace

TEMPLATE_TEST_CASE("an interpolation of logits", "[target]", float, double) {
  using T = TestType;
  const matrix<T> s(3, 17, 1, 4), t(3, 17, 2, 4);
  const auto m = filled(lk::interpolated(t.in(), 0.3), s.in());
  for (std::size_t i = 0; i < m.data.size(); ++i)
    CHECK(static_cast<double>(m.data[i]) ==
          Approx(0.7 * static_cast<double>(s.data[i]) + 0.3 * static_cast<double>(t.data[i])).margin(1e-6));
  CHECK(filled(lk::interpolated(t.in(), 0), s.in()).data == s.data);
  CHECK(filled(lk::interpolated(t.in(), 1), s.in()).data == t.data);
}

TEST_CASE("masks of an interpolation", "[target]") {
  const matrix<double> s(1, 4, {masked, 0, masked, 1}), t(1, 4, {masked, masked, 0, 3});
  CHECK(filled(lk::interpolated(t.in(), 0.5), s.in()).data == std::vector<double>{masked, masked, masked, 2});
  CHECK(filled(lk::interpolated(t.in(), 1), s.in()).data == t.data);
  CHECK(filled(lk::interpolated(t.in(), 0), s.in()).data == s.data);
}

TEST_CASE("a model moved as tuning moved another", "[target]") {
  const matrix<double> base(3, 17, 1, 4), raw(3, 17, 2, 4), tuned(3, 17, 3, 4);
  const auto m = filled(lk::shifted(base.in(), raw.in(), tuned.in(), 0.6), base.in());
  for (std::size_t r = 0; r < 3; ++r) {  // base (tuned/raw)^alpha, normalised
    const auto b = softmax(&base.data[r * 17], 17), x = softmax(&raw.data[r * 17], 17), y = softmax(&tuned.data[r * 17], 17);
    std::vector<real> p(17);
    real sum = 0;
    for (std::size_t c = 0; c < 17; ++c) sum += p[c] = b[c] * std::pow(y[c] / x[c], 0.6L);
    for (real& v : p) v /= sum;
    same_distribution(&m.data[r * 17], p);
  }
  CHECK(filled(lk::shifted(base.in(), raw.in(), tuned.in(), 0), base.in()).data == base.data);
  const auto whole = filled(lk::shifted(raw.in(), raw.in(), tuned.in()), base.in());
  for (std::size_t i = 0; i < whole.data.size(); ++i) CHECK(whole.data[i] == Approx(tuned.data[i]).epsilon(1e-14).margin(1e-14));

  const double nan = std::numeric_limits<double>::quiet_NaN();
  const matrix<double> a(1, 4, {masked, 0, 1, 2}), b(1, 4, {0, masked, 1, 1}), c(1, 4, {0, masked, masked, 4}), d(1, 4, {0, 0, -masked, nan});
  CHECK(filled(lk::shifted(a.in(), b.in(), c.in()), a.in()).data == std::vector<double>{masked, masked, masked, 5});
  for (const auto& bad : {filled(lk::shifted(a.in(), b.in(), d.in()), a.in()), filled(lk::shifted(b.in(), d.in(), a.in()), a.in())})
    CHECK((std::isnan(bad.data[2]) && std::isnan(bad.data[3])));
  CHECK_THROWS_WITH(lk::shifted(a.in(), b.in(), c.in(), -1), "limbeck: alpha is -1, expected a number of at least 0");
  CHECK_THROWS_AS(lk::shifted(a.in(), base.in(), c.in()), lk::shape_error);
}

TEST_CASE("Zipf's labels where scores tie: the lower class", "[target]") {
  const matrix<double> flat(1, 5, {1, 1, 1, 1, 1}), peak(1, 5, {0, 2, 0, 2, 0});
  const auto z = [](double position) { return -std::log(position); };
  CHECK(filled(lk::zipf_labels(flat.in()), flat.in(), std::vector<int>{2}).data ==
        std::vector<double>{z(1), z(2), masked, z(4), z(5)});
  CHECK(filled(lk::zipf_labels(peak.in()), flat.in(), std::vector<int>{4}).data ==
        std::vector<double>{z(3), z(1), z(4), z(2), masked});
}

TEST_CASE("TAID's controller", "[target]") {
  // naively, with the first step storing its loss only
  const std::vector<double> losses{3, 2.5, 2.7, 1.9, 1.2, 1.2, 1.0, 0.4};
  lk::taid taid(losses.size());
  CHECK(taid.t() == 0.4);
  double t = 0.4, m = 0, before = 0;
  for (std::size_t n = 0; n < losses.size(); ++n) {
    taid.update(losses[n]);
    if (n > 0) {
      m = 0.99 * m + 0.01 * (before - losses[n]) / (before + 1e-15);
      const double line = 0.4 + 0.6 * static_cast<double>(n) / static_cast<double>(losses.size());
      t = std::min(1.0, std::max(line, t + 5e-4 / (1 + std::exp(-m)) * (1 - t)));
      CHECK(taid.t() >= line);
    }
    before = losses[n];
    CHECK(taid.t() == t);
  }
  SECTION("not adaptive, it is the line") {
    lk::taid line(4, {.alpha = 1, .adaptive = false});
    for (const double expected : {0.4, 0.55, 0.7, 0.85}) {
      line.update(1);
      CHECK(line.t() == Approx(expected).epsilon(1e-15));
    }
  }
  SECTION("with a large step it runs ahead, and never back") {
    lk::taid eager(1000, {.alpha = 1, .beta = 0});
    double last = 0;
    for (int n = 0; n < 100; ++n) {
      eager.update(n % 2 ? 1.0 : 2.0);
      CHECK(eager.t() >= last);
      CHECK(eager.t() <= 1);
      last = eager.t();
    }
    CHECK(last > 0.99);
  }
  SECTION("saved and resumed") {
    archive file;
    taid.serialize(file);
    file.loading = true;
    lk::taid other(losses.size());
    other.serialize(file);
    taid.update(0.3);
    other.update(0.3);
    CHECK(other.t() == taid.t());
  }
  SECTION("what it refuses") {
    CHECK_THROWS_WITH(lk::taid(0), Contains("steps of taid is 0"));
    CHECK_THROWS_WITH(lk::taid(5, {.start = 1}), Contains("start of taid is 1, expected a number in [0, 1)"));
    CHECK_THROWS_AS(lk::taid(5, {.start = 0.9, .end = 0.5}), lk::value_error);
    CHECK_THROWS_AS(lk::taid(5, {.beta = 1}), lk::value_error);
    const double t_before = taid.t();
    CHECK_THROWS_WITH(taid.update(std::nan("")), Contains("the loss given to taid is nan"));
    CHECK(taid.t() == t_before);
  }
}

TEMPLATE_TEST_CASE("a mix of label and teacher", "[target]", float, double) {
  using T = TestType;
  const std::vector<int> labels{3, 0, -1, 9};
  for (const double size : {1.0, 60.0}) {
    const matrix<T> t(4, 10, 3, size);
    for (const double alpha : {0.0, 0.25, 1.0})
      for (const double temperature : {1.0, 3.0}) {
        const auto m = filled(lk::label_mixed(t.in(), alpha, temperature), labels);
        for (std::size_t r = 0; r < 4; ++r) {
          auto p = softmax(t.row(r), 10, temperature);
          if (labels[r] >= 0) {
            for (real& x : p) x *= 1 - alpha;
            p[static_cast<std::size_t>(labels[r])] += alpha;
          }
          same_distribution(m.row(r), p, temperature);
        }
      }
  }
}

TEMPLATE_TEST_CASE("smoothed soft labels", "[target]", float, double) {
  using T = TestType;
  const matrix<T> t(3, 37, 3, 20);
  for (const double epsilon : {0.0, 0.1, 1.0}) {
    const auto m = filled(lk::smoothed(t.in(), epsilon, 2));
    for (std::size_t r = 0; r < 3; ++r) {
      auto p = softmax(t.row(r), 37, 2);
      for (real& x : p) x = (1 - epsilon) * x + epsilon / 37;
      same_distribution(m.row(r), p, 2);
    }
  }
  const matrix<double> hole(1, 2, {masked, 0});
  same_distribution(filled(lk::smoothed(hole.in(), 0.5)).row(0), {0.25, 0.75});
}

TEST_CASE("the best share of the label", "[target]") {
  // predictions linear in the share: the optimum beats its neighbours
  const matrix<double> y(5, 2, 1, 1), gy(5, 2, 2, 1), gf(5, 2, 3, 1);
  const double best = lk::optimal_label_share(gy.in(), gf.in(), y.in());
  const auto error = [&](double a) {
    double sum = 0;
    for (std::size_t i = 0; i < 10; ++i) sum += std::pow(a * gy.data[i] + (1 - a) * gf.data[i] - y.data[i], 2);
    return sum;
  };
  CHECK(error(best) < error(best + 1e-4));
  CHECK(error(best) < error(best - 1e-4));
  // kernel ridge on one point, alpha constant: the limit is that of lambda/alpha
  const double k = 2, lambda = 0.5, b = k / (k + lambda);
  double f = b;
  for (int i = 0; i < 200; ++i) f = b * (0.3 * 1 + 0.7 * f);
  CHECK(f == Approx(k / (k + lambda / 0.3)));
  CHECK(f == Approx(0.5454545));
  CHECK_THROWS_WITH(lk::optimal_label_share(gy.in(), gy.in(), y.in()), Contains("the two fits do not differ"));
}

TEMPLATE_TEST_CASE("powers of probabilities", "[target]", float, double) {
  using T = TestType;
  const matrix<T> t(4, 23, 7, 5);
  const double gamma = 0.2;
  const auto m = filled(lk::power_transformed(t.in(), gamma));
  std::vector<double> u(4), one(4);
  lk::wttm_row_weights(t.in(), gamma, u);
  lk::wttm_row_weights(t.in(), 1, one);
  struct spread {  // a vector whose elements are two apart
    std::vector<double> all = std::vector<double>(8, -1);
    double* data() { return all.data(); }
    const double* data() const { return all.data(); }
    std::size_t size() const { return 4; }
    std::ptrdiff_t innerStride() const { return 2; }
  } apart, of_labels;
  const std::vector<int> labels{0, 3, 11, 5};
  std::vector<double> side_by_side(4);
  lk::wttm_row_weights(t.in(), gamma, apart);
  lk::uskd_row_weights(t.in(), labels, of_labels);
  lk::uskd_row_weights(t.in(), labels, side_by_side);
  for (std::size_t r = 0; r < 4; ++r)
    CHECK((apart.all[2 * r] == u[r] && of_labels.all[2 * r] == side_by_side[r] && apart.all[2 * r + 1] == -1 && of_labels.all[2 * r + 1] == -1));
  for (std::size_t r = 0; r < 4; ++r) {
    auto p = softmax(t.row(r), 23);
    real sum = 0;
    for (real& x : p) sum += x = std::pow(x, static_cast<real>(gamma));
    CHECK(u[r] == Approx(static_cast<double>(sum)).epsilon(sizeof(T) == 4 ? 2e-6 : 1e-13));
    CHECK(one[r] == Approx(1).epsilon(1e-6));
    for (real& x : p) x /= sum;
    same_distribution(m.row(r), p);
  }
  // a temperature of 1/gamma on the teacher's side
  for (std::size_t r = 0; r < 4; ++r) same_distribution(m.row(r), softmax(t.row(r), 23, 1 / static_cast<real>(gamma)));
}

TEST_CASE("customised soft labels", "[target]") {
  const std::size_t n = 12;
  const matrix<double> weak(6, n, 1, 2), student(6, n, 2, 2);
  const std::vector<int> labels{0, 3, 11, 5, 5, 7};
  const auto m = filled(lk::zipf_labels(weak.in()), student.in(), labels);
  std::vector<double> weights(6);
  lk::uskd_row_weights(student.in(), labels, weights);
  real mean = 0, total = 0;
  for (std::size_t r = 0; r < 6; ++r) {
    const auto y = static_cast<std::size_t>(labels[r]);
    const auto w = softmax(weak.row(r), n), s = softmax(student.row(r), n);
    mean += s[y] * s[y] / 6;
    std::vector<real> score(n), p(n);
    for (std::size_t c = 0; c < n; ++c) score[c] = w[c] / (1 - w[y] + 1e-6L) + s[c] / (1 - s[y] + 1e-6L);
    real sum = 0;
    for (std::size_t c = 0; c < n; ++c) {
      int position = 1;
      for (std::size_t o = 0; o < n; ++o) position += score[o] > score[c];
      if (c != y) sum += p[c] = 1.0L / position;
    }
    for (real& x : p) x /= sum;
    same_distribution(m.row(r), p);
    CHECK(m.row(r)[y] == masked);
  }
  for (std::size_t r = 0; r < 6; ++r) {
    const real s = softmax(student.row(r), n)[static_cast<std::size_t>(labels[r])];
    CHECK(weights[r] == Approx(static_cast<double>(s * s + 1 - mean)).epsilon(1e-12));
    total += weights[r];
  }
  CHECK(static_cast<double>(total) == Approx(6));
}

TEST_CASE("transforms nest and take schedules", "[target]") {
  const matrix<double> t(3, 8, 1, 3), s(3, 8, 2, 3);
  const std::vector<int> labels{0, 1, 2};
  const auto nested = lk::interpolated(lk::label_mixed(lk::power_transformed(t.in(), 0.5), 0.2), 0.5 * lk::constant(1));
  CHECK((decltype(nested)::needs_labels && decltype(nested)::needs_student));
  const auto m = filled(nested, labels, s.in(), lk::progress(0.25));
  for (std::size_t r = 0; r < 3; ++r) {
    auto p = softmax(t.row(r), 8, 2);
    for (real& x : p) x *= 0.8L;
    p[r] += 0.2L;
    std::vector<real> z(8);
    for (std::size_t c = 0; c < 8; ++c) z[c] = 0.5L * std::log(p[c]) + 0.5L * s.row(r)[c];
    same_distribution(m.row(r), softmax(z.data(), 8));
  }
}

TEST_CASE("what transforms refuse", "[target][errors]") {
  const matrix<double> t(2, 3, 1, 1);
  matrix<double> out(2, 3);
  auto view = out.out();
  CHECK_THROWS_WITH(lk::interpolated(t.in(), 1.5),
                    Contains("the share of the teacher is 1.5, expected a number in [0, 1]"));
  CHECK_THROWS_WITH(lk::label_mixed(t.in(), -0.5), Contains("the share of the label is -0.5"));
  CHECK_THROWS_WITH(lk::smoothed(t.in(), 2), Contains("epsilon is 2, expected a number in [0, 1]"));
  CHECK_THROWS_WITH(lk::power_transformed(t.in(), 0), Contains("gamma is 0, expected a positive number"));
  CHECK_THROWS_WITH(lk::fill(lk::interpolated(t.in(), 0.5), view), Contains("reads the student's logits"));
  CHECK_THROWS_WITH(lk::fill(lk::label_mixed(t.in(), 0.5), view), Contains("mixes the labels in"));
  const std::vector<int> short_labels{1};
  CHECK_THROWS_WITH(lk::fill(lk::label_mixed(t.in(), 0.5), view, short_labels),
                    Contains("labels has 1 elements, expected 2"));
  std::vector<double> u(3);
  CHECK_THROWS_WITH(lk::wttm_row_weights(t.in(), 0.5, u), Contains("out has 3 elements, expected 2"));
}
