// Ensembles: their definitions in long double, weights, masks, nesting, what they refuse.

#include <limbeck/target/ensemble.hpp>
#include <limbeck/target/load_balance.hpp>
#include <limbeck/target/min_max_scores.hpp>

#include <array>

#include "cases.hpp"

using namespace limbeck_test;
using Catch::Matchers::Contains;

TEMPLATE_TEST_CASE("a mean of probabilities is one, at its temperature", "[target][ensemble]", float, double) {
  using T = TestType;
  for (const std::size_t n : {1U, 2U, 7U, 16U, 33U, 100U})
    for (const double size : {1.0, 30.0}) {
      const matrix<T> a(5, n, 1, size), b(5, n, 2, size), c(5, n, 3, size);
      for (const double t : {1.0, 4.0}) {
        const auto m = filled(lk::mean_of_probabilities(a.in(), b.in(), c.in()).at_temperature(t));
        for (std::size_t r = 0; r < 5; ++r) {
          const auto p = softmax(a.row(r), n, t), q = softmax(b.row(r), n, t), s = softmax(c.row(r), n, t);
          std::vector<real> mean(n);
          for (std::size_t i = 0; i < n; ++i) {
            mean[i] = (p[i] + q[i] + s[i]) / 3;
            // log-probabilities themselves, however improbable the class
            CHECK(static_cast<double>(m.row(r)[i]) ==
                  Approx(static_cast<double>(static_cast<real>(t) * std::log(mean[i])))
                      .epsilon(sizeof(T) == 4 ? 3e-6 : 1e-13)
                      .margin(sizeof(T) == 4 ? 1e-5 : 1e-13));
          }
          same_distribution(m.row(r), mean, t);
        }
      }
    }
}

TEST_CASE("logits and probabilities are different means", "[target][ensemble]") {
  const matrix<double> a(1, 3, {8, 0, 0}), b(1, 3, {0, 4, 0});
  const auto by_logits = softmax(filled(lk::mean_of_logits(a.in(), b.in())).row(0), 3);
  const auto by_probabilities = softmax(filled(lk::mean_of_probabilities(a.in(), b.in())).row(0), 3);
  const double logits[] = {0.87, 0.12, 0.02}, probabilities[] = {0.51, 0.48, 0.01};
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(std::fabs(static_cast<double>(by_logits[c]) - logits[c]) < 0.005);
    CHECK(std::fabs(static_cast<double>(by_probabilities[c]) - probabilities[c]) < 0.005);
  }
}

TEMPLATE_TEST_CASE("a geometric mean is the mean of logits but for a shift", "[target][ensemble]", float, double) {
  using T = TestType;
  const matrix<T> a(4, 21, 1, 5), b(4, 21, 2, 5);
  const lk::fixed_weights w{3, 1};
  const auto g = filled(lk::geometric_mean(a.in(), b.in()).weighted(w));
  const auto l = filled(lk::mean_of_logits(a.in(), b.in()).weighted(w));
  for (std::size_t r = 0; r < 4; ++r) {
    const auto p = softmax(a.row(r), 21), q = softmax(b.row(r), 21);
    std::vector<real> product(21);
    real sum = 0, written = 0;
    for (std::size_t c = 0; c < 21; ++c) sum += product[c] = std::pow(p[c], 0.75L) * std::pow(q[c], 0.25L);
    for (real& x : product) x /= sum;
    same_distribution(g.row(r), product);
    same_distribution(l.row(r), product);
    for (std::size_t c = 0; c < 21; ++c) {
      written += std::exp(static_cast<real>(g.row(r)[c]));
      CHECK(static_cast<double>(l.row(r)[c]) ==
            Approx(static_cast<double>(0.75L * a.row(r)[c] + 0.25L * b.row(r)[c])).margin(1e-5));
    }
    CHECK(static_cast<double>(written) == Approx(1));
  }
}

TEST_CASE("one teacher, or the same one thrice, is itself", "[target][ensemble]") {
  const matrix<double> a(3, 11, 4, 6);
  for (std::size_t r = 0; r < 3; ++r) {
    const auto p = softmax(a.row(r), 11, 2);
    same_distribution(filled(lk::mean_of_probabilities(a.in()).at_temperature(2)).row(r), p, 2);
    same_distribution(filled(lk::mean_of_probabilities(a.in(), a.in(), a.in()).at_temperature(2)).row(r), p, 2);
    same_distribution(filled(lk::mean_of_logits(a.in())).row(r), p, 2);
    same_distribution(filled(lk::geometric_mean(a.in(), a.in())).row(r), p, 2);
  }
}

TEST_CASE("a range of teachers is as many arguments", "[target][ensemble]") {
  std::vector<matrix<float>> all;
  std::vector<lk::rows<const float>> views;
  for (std::uint64_t k = 0; k < 4; ++k) all.emplace_back(3, 19, k, 4);
  for (const auto& m : all) views.push_back(m.in());
  const auto range = filled(lk::mean_of_probabilities(views));
  const auto span = filled(lk::mean_of_probabilities(std::span<const lk::rows<const float>>(views)));
  const auto each = filled(lk::mean_of_probabilities(views[0], views[1], views[2], views[3]));
  CHECK(range.data == each.data);
  CHECK(span.data == each.data);
}

TEST_CASE("the temperature can be a schedule", "[target][ensemble]") {
  const matrix<double> a(2, 9, 1, 3), b(2, 9, 2, 3);
  const auto scheduled = lk::mean_of_probabilities(a.in(), b.in()).at_temperature(2.0 * lk::constant(2));
  CHECK(filled(scheduled, lk::progress(0.5)).data ==
        filled(lk::mean_of_probabilities(a.in(), b.in()).at_temperature(4)).data);
}

TEST_CASE("masked classes", "[target][ensemble]") {
  const matrix<double> a(2, 4, {masked, 1, 2, 0, masked, masked, 0, 0}), b(2, 4, {1, 2, masked, 0, masked, 1, 2, 3});
  const auto p = filled(lk::mean_of_probabilities(a.in(), b.in()).at_temperature(2));
  for (std::size_t r = 0; r < 2; ++r) {
    const auto x = softmax(a.row(r), 4, 2), y = softmax(b.row(r), 4, 2);
    std::vector<real> mean(4);
    for (std::size_t c = 0; c < 4; ++c) mean[c] = (x[c] + y[c]) / 2;
    same_distribution(p.row(r), mean, 2);
  }
  CHECK(p.row(1)[0] == masked);  // by both
  const auto l = filled(lk::mean_of_logits(a.in(), b.in()));
  CHECK(l.row(0)[0] == masked);  // by one
  CHECK(l.row(0)[2] == masked);
  CHECK(l.row(0)[1] == 1.5);
  // improbable beyond what float can hold is not masked
  const matrix<float> far_a(1, 3, {0, -200, -300}), far_b(1, 3, {0, -210, -250});
  const auto q = filled(lk::mean_of_probabilities(far_a.in(), far_b.in()));
  CHECK(q.row(0)[1] == Approx(-200 - std::log(2.0) + std::log1p(std::exp(-10.0))).epsilon(1e-6));
  CHECK(q.row(0)[2] == Approx(-250 - std::log(2.0)).epsilon(1e-6));
}

TEST_CASE("faulty rows come through", "[target][ensemble]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const matrix<double> a(3, 2, {1, 2, masked, masked, 1, 1}), b(3, 2, {nan, 2, 1, 1, -masked, 0});
  const auto check = [&](const auto& m) {
    CHECK(m.row(0)[0] != m.row(0)[0]);
    CHECK((m.row(1)[0] == masked && m.row(1)[1] == masked));
    CHECK(!std::isfinite(m.row(2)[0]));
  };
  check(filled(lk::mean_of_probabilities(a.in(), b.in())));
  check(filled(lk::mean_of_logits(a.in(), b.in())));
  check(filled(lk::geometric_mean(a.in(), b.in())));
  check(filled(lk::mean_of_probabilities(a.in(), b.in()).weighted(lk::entropy_weights{})));
}

TEST_CASE("weights", "[target][ensemble]") {
  const matrix<double> a(3, 6, 1, 3), b(3, 6, 2, 3), c(3, 6, 3, 3);
  const auto mean = [&](std::size_t r, const std::vector<double>& w) {
    const auto p = softmax(a.row(r), 6), q = softmax(b.row(r), 6), s = softmax(c.row(r), 6);
    std::vector<real> m(6);
    for (std::size_t i = 0; i < 6; ++i) m[i] = w[0] * p[i] + w[1] * q[i] + w[2] * s[i];
    return m;
  };
  const auto all = lk::mean_of_probabilities(a.in(), b.in(), c.in());
  SECTION("fixed, normalised") {
    const auto m = filled(all.weighted(lk::fixed_weights{1, 0, 3}));
    for (std::size_t r = 0; r < 3; ++r) same_distribution(m.row(r), mean(r, {0.25, 0, 0.75}));
  }
  SECTION("one a row and teacher") {
    const matrix<float> w(3, 3, {1, 0, 0, 0, 2, 0, 1, 1, 2});
    const auto m = filled(all.weighted(lk::weights_of(w.in())));
    same_distribution(m.row(0), mean(0, {1, 0, 0}));
    same_distribution(m.row(1), mean(1, {0, 1, 0}));
    same_distribution(m.row(2), mean(2, {0.25, 0.25, 0.5}));
  }
  SECTION("routed, ties to the lower teacher") {
    const matrix<double> gate(3, 3, {1, 3, 2, 5, 5, 5, masked, masked, masked});
    const auto two = filled(all.weighted(lk::routed(gate.in(), 2)));
    same_distribution(two.row(0), mean(0, {0, 0.5, 0.5}));
    same_distribution(two.row(1), mean(1, {0.5, 0.5, 0}));
    same_distribution(two.row(2), mean(2, {0.5, 0.5, 0}));
    const auto every = filled(all.weighted(lk::routed(gate.in(), 3)));
    const auto equal = filled(all);
    for (std::size_t i = 0; i < 18; ++i) CHECK(every.data[i] == Approx(equal.data[i]).margin(1e-14));
  }
  SECTION("by entropy") {
    const auto m = filled(all.weighted(lk::entropy_weights{}));
    for (std::size_t r = 0; r < 3; ++r) {
      std::vector<double> h;
      for (const auto* x : {&a, &b, &c}) {
        real sum = 0;
        for (const real p : softmax(x->row(r), 6)) sum -= p * std::log(p);
        h.push_back(static_cast<double>(sum));
      }
      const double total = h[0] + h[1] + h[2];
      for (double& x : h) x = (1 - x / total) / 2;
      same_distribution(m.row(r), mean(r, h));
    }
  }
  SECTION("of logits, by entropy") {
    const auto m = filled(lk::mean_of_logits(a.in(), b.in(), c.in()).weighted(lk::entropy_weights{}));
    for (std::size_t r = 0; r < 3; ++r) {
      std::vector<real> h;
      for (const auto* x : {&a, &b, &c}) {
        h.push_back(0);
        for (const real p : softmax(x->row(r), 6)) h.back() -= p * std::log(p);
      }
      const real total = h[0] + h[1] + h[2];
      std::vector<double> z(6);
      for (std::size_t i = 0; i < 6; ++i)
        for (const auto& [x, k] : {std::pair{&a, 0U}, std::pair{&b, 1U}, std::pair{&c, 2U}})
          z[i] += static_cast<double>((1 - h[k] / total) / 2 * static_cast<real>(x->row(r)[i]));
      same_distribution(m.row(r), softmax(z.data(), 6));
    }
  }
  SECTION("by confidence in the label") {
    const std::vector<int> labels{2, 0, -1};
    const auto m = filled(all.weighted(lk::confidence_weights{}), labels);
    for (std::size_t r = 0; r < 2; ++r) {
      std::vector<double> e;
      for (const auto* x : {&a, &b, &c})
        e.push_back(1 / static_cast<double>(softmax(x->row(r), 6)[static_cast<std::size_t>(labels[r])]));  // exp(CE)
      const double total = e[0] + e[1] + e[2];
      for (double& x : e) x = (1 - x / total) / 2;
      same_distribution(m.row(r), mean(r, e));
    }
    same_distribution(m.row(2), mean(2, {1 / 3.0, 1 / 3.0, 1 / 3.0}));
  }
  SECTION("certain or alone") {
    const matrix<double> sure(1, 3, {masked, 0, masked});
    same_distribution(filled(lk::mean_of_logits(sure.in(), sure.in()).weighted(lk::entropy_weights{})).row(0),
                      {0, 1, 0});
    const std::vector<int> label{1};
    const auto one = filled(lk::mean_of_probabilities(sure.in()).weighted(lk::confidence_weights{}), label);
    same_distribution(one.row(0), {0, 1, 0});
    const matrix<double> wrong(1, 3, {1, masked, 0});
    const auto right =
        filled(lk::mean_of_probabilities(sure.in(), wrong.in()).weighted(lk::confidence_weights{}), label);
    same_distribution(right.row(0), {0, 1, 0});
  }
}

TEST_CASE("targets nest", "[target][ensemble]") {
  const matrix<double> a(3, 20, 1, 3), b(3, 20, 2, 3), c(3, 20, 3, 3), d(3, 20, 4, 3);
  const auto nested =
      lk::mean_of_probabilities(lk::mean_of_probabilities(a.in(), b.in()), lk::mean_of_probabilities(c.in(), d.in()));
  const auto m = filled(nested), flat = filled(lk::mean_of_probabilities(a.in(), b.in(), c.in(), d.in()));
  for (std::size_t i = 0; i < 60; ++i) CHECK(m.data[i] == Approx(flat.data[i]).margin(1e-13));
  const auto labelled = lk::mean_of_logits(nested.weighted(lk::confidence_weights{}), a.in());
  CHECK(decltype(labelled)::needs_labels);
  CHECK_FALSE(decltype(nested)::needs_labels);
}

TEST_CASE("scores of different units", "[target][ensemble]") {
  const matrix<double> a(2, 5, 1, 3);
  matrix<double> b(2, 5), c = a;
  for (std::size_t i = 0; i < 10; ++i) b.data[i] = 1000 * a.data[i] - 7;
  const auto x = filled(lk::min_max_scores(a.in())), y = filled(lk::min_max_scores(b.in()));
  for (std::size_t i = 0; i < 10; ++i) CHECK(x.data[i] == Approx(y.data[i]).margin(1e-4));
  for (std::size_t r = 0; r < 2; ++r) {
    CHECK(*std::max_element(x.row(r), x.row(r) + 5) == Approx(30).epsilon(1e-6));
    CHECK(*std::min_element(x.row(r), x.row(r) + 5) == 0);
  }
  const auto m = filled(lk::mean_of_logits(lk::min_max_scores(a.in()), lk::min_max_scores(b.in())));
  for (std::size_t i = 0; i < 10; ++i) CHECK(m.data[i] == Approx((x.data[i] + y.data[i]) / 2));
  c.row(0)[1] = masked;
  CHECK(filled(lk::min_max_scores(c.in())).row(0)[1] == masked);
  const matrix<double> equal(1, 3, {2, 2, 2});
  const auto zeros = filled(lk::min_max_scores(equal.in()));
  for (const double v : zeros.data) CHECK(v == 0);
  CHECK_THROWS_WITH(lk::min_max_scores(a.in(), 0), Contains("scale is 0, expected a positive number"));
}

TEST_CASE("the load-balance loss of a gate", "[target][ensemble]") {
  for (const auto measure : {lk::balance::kl, lk::balance::variation}) {
    const matrix<double> even(3, 4);
    matrix<double> g(3, 4);
    auto gradient = g.out();
    CHECK(lk::load_balance(even.in(), gradient, measure) == Approx(0).margin(1e-15));
    for (const double x : g.data) CHECK(x == Approx(0).margin(1e-8));

    matrix<double> gate(3, 4, 5, 2);
    std::fill(g.data.begin(), g.data.end(), 0.0);
    const double value = lk::load_balance(gate.in(), gradient, measure);
    std::vector<real> sums(4);
    for (std::size_t r = 0; r < 3; ++r) {
      const auto p = softmax(gate.row(r), 4);
      for (std::size_t k = 0; k < 4; ++k) sums[k] += p[k];
    }
    real expected = 0;
    if (measure == lk::balance::kl) {
      for (const real s : sums) expected += 0.25L * (std::log(0.25L) - std::log(s / 3)) / 4;
    } else {
      for (const real s : sums) expected += (s - 0.75L) * (s - 0.75L);
      expected = std::sqrt(expected / 3) / 0.75L;
    }
    CHECK(value == Approx(static_cast<double>(expected)).epsilon(1e-12));
    matrix<double> ignored(3, 4);
    auto nowhere = ignored.out();
    for (std::size_t i = 0; i < 12; ++i) {
      const double kept = gate.data[i], h = 1e-5;
      gate.data[i] = kept + h;
      const double above = lk::load_balance(gate.in(), nowhere, measure);
      gate.data[i] = kept - h;
      const double below = lk::load_balance(gate.in(), nowhere, measure);
      gate.data[i] = kept;
      CHECK(g.data[i] == Approx((above - below) / (2 * h)).epsilon(1e-6).margin(1e-9));
    }
  }
}

TEST_CASE("what ensembles refuse", "[target][ensemble][errors]") {
  const matrix<double> a(2, 3, 1, 1), wide(2, 4, 2, 1), shorter(1, 3, 3, 1);
  const auto two = lk::mean_of_logits(a.in(), a.in());
  CHECK_THROWS_WITH(lk::mean_of_probabilities(a.in(), wide.in()),
                    Contains("teacher 1 has shape 2 x 4, expected 2 x 3"));
  CHECK_THROWS_AS(lk::mean_of_probabilities(a.in(), a.in(), shorter.in()), lk::shape_error);
  CHECK_THROWS_WITH(lk::mean_of_logits(std::vector<lk::rows<const double>>{}), Contains("the ensemble has no teacher"));
  CHECK_THROWS_WITH(lk::mean_of_logits(std::vector<lk::rows<const double>>(65, a.in())),
                    Contains("65 teachers, at most 64"));
  CHECK_THROWS_WITH(two.weighted(lk::fixed_weights{1, 2, 3}),
                    Contains("the teachers' weights has 3 elements, expected 2 (one a teacher)"));
  CHECK_THROWS_WITH((lk::fixed_weights{1, -2}), Contains("the weight of teacher 1 is -2"));
  CHECK_THROWS_AS((lk::fixed_weights{0, 0}), lk::value_error);
  const matrix<double> zero(2, 2, {1, 0, 0, 0}), bad(2, 2, {1, 0, 0, std::nan("")});
  CHECK_THROWS_WITH(two.weighted(lk::weights_of(zero.in())), Contains("the weights of all teachers in row 1 are 0"));
  CHECK_THROWS_WITH(two.weighted(lk::weights_of(bad.in())), Contains("the weight of teacher 1 in row 1 is nan"));
  CHECK_THROWS_WITH(two.weighted(lk::weights_of(a.in())), Contains("shape 2 x 3, expected 2 x 2 (samples x teachers)"));
  CHECK_THROWS_WITH(two.weighted(lk::routed(zero.in(), 3)), Contains("k is 3, expected 1 to 2"));
  CHECK_THROWS_WITH(two.weighted(lk::routed(bad.in())), Contains("the gate of teacher 1 in row 1 is nan"));
  CHECK_THROWS_WITH(lk::mean_of_probabilities(a.in()).at_temperature(-1),
                    Contains("temperature is -1, expected a positive"));
  matrix<double> out(2, 3);
  auto view = out.out();
  CHECK_THROWS_WITH(lk::fill(two.weighted(lk::confidence_weights{}), view), Contains("mixes the labels in"));
  const std::vector<int> label_out{0, 3};
  CHECK_THROWS_WITH(lk::fill(two.weighted(lk::confidence_weights{}), view, label_out), Contains("label 3 in row 1"));
  matrix<double> narrow(2, 2);
  auto small_view = narrow.out();
  CHECK_THROWS_WITH(lk::fill(two, small_view), Contains("out has shape 2 x 2, expected 2 x 3"));
}
