// Logits that are a product: the loss and the gradients are those of the written-out logits, whatever rows a chunk takes.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#if LIMBECK_TEST_EIGEN
#include <limbeck/eigen.hpp>
#endif

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {

template <class T>
struct matrix {
  std::size_t samples, classes;
  std::vector<T> data;
  matrix(std::size_t n, std::size_t m) : samples(n), classes(m), data(n * m) {}
  lk::rows<const T> in() const { return {data.data(), samples, classes}; }
  lk::rows<T> out() { return {data.data(), samples, classes}; }
  T& operator()(std::size_t r, std::size_t c) { return data[r * classes + c]; }
  T operator()(std::size_t r, std::size_t c) const { return data[r * classes + c]; }
};

template <class T>
matrix<T> random_matrix(std::size_t n, std::size_t m, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  matrix<T> x(n, m);
  for (T& v : x.data) v = static_cast<T>(normal(random));
  return x;
}

/// h W^T + b, in double.
template <class T>
matrix<double> product(const matrix<T>& h, const matrix<T>& w, const std::vector<double>& b = {}) {
  matrix<double> z(h.samples, w.samples);
  for (std::size_t r = 0; r < z.samples; ++r)
    for (std::size_t c = 0; c < z.classes; ++c) {
      z(r, c) = b.empty() ? 0 : b[c];
      for (std::size_t k = 0; k < h.classes; ++k) z(r, c) += static_cast<double>(h(r, k)) * static_cast<double>(w(c, k));
    }
  return z;
}

/// What the chain rule makes of the gradient of the logits.
struct chain {
  matrix<double> hidden, weights;
  std::vector<double> bias;
  template <class T>
  chain(const matrix<double>& g, const matrix<T>& h, const matrix<T>& w)
      : hidden(h.samples, h.classes), weights(w.samples, w.classes), bias(w.samples) {
    for (std::size_t r = 0; r < g.samples; ++r) {
      if (std::all_of(&g.data[r * g.classes], &g.data[r * g.classes] + g.classes, [](double x) { return x == 0; })) continue;
      for (std::size_t c = 0; c < g.classes; ++c) {
        bias[c] += g(r, c);
        for (std::size_t k = 0; k < h.classes; ++k) {
          hidden(r, k) += g(r, c) * static_cast<double>(w(c, k));
          weights(c, k) += g(r, c) * static_cast<double>(h(r, k));
        }
      }
    }
  }
};

template <class A, class B>
double distance(const A& a, const B& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    most = d > most || d != d ? d : most;
  }
  return most;
}

/// Wide enough for chunks of 192 rows; most of the sum is in few classes, so that double holds its digits.
struct wide_batch {
  static constexpr std::size_t samples = 230, classes = 21000, width = 3, teacher_width = 2;
  matrix<double> h = random_matrix<double>(samples, width, 1), w = random_matrix<double>(classes, width, 2);
  matrix<double> ht = random_matrix<double>(samples, teacher_width, 3), wt = random_matrix<double>(classes, teacher_width, 4);
  std::vector<double> b = random_matrix<double>(1, classes, 5).data, weights = std::vector<double>(samples), temperatures = weights;
  std::vector<std::int32_t> labels = std::vector<std::int32_t>(samples);
  std::vector<unsigned char> mask = std::vector<unsigned char>(samples, 1);

  wide_batch() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (std::size_t r = 0; r < samples; ++r) {
      labels[r] = r < 5 || (r > 60 && r < 170) || r == 200 ? -100 : static_cast<std::int32_t>(r * 37 % classes);
      mask[r] = r % 50 != 7;
      weights[r] = r % 41 == 11 ? 0 : 0.5 + static_cast<double>(r % 5);
      temperatures[r] = 1 + 0.1 * static_cast<double>(r % 9);
      if (labels[r] < 0 || !mask[r] || weights[r] == 0) h(r, 1) = ht(r, 0) = nan;  // nobody looks at these
    }
  }
};

/// Three workers whose tasks come in another order.
struct backwards {
  std::size_t workers() const { return 3; }
  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    for (std::size_t i = tasks; i-- > 0;) body(i, i % 3);
  }
};

}  // namespace

TEST_CASE("heads: the loss and the gradients of the written-out logits, in chunks of rows", "[heads]") {
  const wide_batch x;
  const auto z = product(x.h, x.w, x.b), zt = product(x.ht, x.wt);
  const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(lk::per_row{}, 0.7 * lk::forward_kl{});
  matrix<double> g(z.samples, z.classes);
  std::vector<double> losses(x.samples), by_temperature(x.samples), own_losses(x.samples, 7), own_temperature(x.samples, 7);
  const auto whole = objective(z.in(), zt.in(), x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights),
                               lk::row_temperatures(x.temperatures), lk::row_losses(losses),
                               lk::row_temperature_gradient(by_temperature), lk::into(g.out()));
  const chain expected(g, x.h, x.w);

  matrix<double> dh(x.samples, x.width), dw(x.classes, x.width);
  std::vector<double> db(x.classes);
  const auto call = [&](auto&&... more) {
    return objective(lk::logits_of(x.h.in(), x.w.in(), x.b), lk::logits_of(x.ht.in(), x.wt.in()), x.labels,
                     lk::row_mask(x.mask), lk::row_weights(x.weights), lk::row_temperatures(x.temperatures),
                     lk::row_losses(own_losses), lk::row_temperature_gradient(own_temperature), more...);
  };
  lk::workspace ws;
  const auto head = call(lk::into(lk::head_gradient(dh.out(), dw.out(), db)), ws);
  CHECK(head.rows == whole.rows);
  CHECK(head.weight == Approx(whole.weight).epsilon(1e-14));
  CHECK(head.loss == Approx(whole.loss).epsilon(1e-12));
  CHECK(distance(own_losses, losses) < 1e-11);
  CHECK(distance(own_temperature, by_temperature) < 1e-11);
  CHECK(distance(dh.data, expected.hidden.data) < 1e-13);
  CHECK(distance(dw.data, expected.weights.data) < 1e-13);
  CHECK(distance(db, expected.bias) < 1e-13);

  SECTION("a workspace that has served is enough; a gradient may be left out; others are added to") {
    const std::size_t held = ws.size();
    auto dh2 = dh, dw2 = dw;
    auto db2 = db;
    call(lk::add_to(lk::head_gradient(dh2.out(), dw2.out(), db2)), ws);
    CHECK(ws.size() == held);
    for (double& v : dh2.data) v /= 2;
    for (double& v : dw2.data) v /= 2;
    for (double& v : db2) v /= 2;
    CHECK(distance(dh2.data, dh.data) < 1e-15);
    CHECK(distance(dw2.data, dw.data) < 1e-15);
    CHECK(distance(db2, db) < 1e-15);
    std::fill(dw2.data.begin(), dw2.data.end(), 5);
    call(lk::into(lk::head_gradient(nullptr, dw2.out())));
    CHECK(dw2.data == dw.data);
    call(lk::into(lk::head_gradient(dh2.out())));
    CHECK(dh2.data == dh.data);
  }
  SECTION("workers change no bit") {
    auto dh2 = dh, dw2 = dw;
    auto db2 = db;
    backwards three;
    const auto again = call(lk::into(lk::head_gradient(dh2.out(), dw2.out(), db2)), lk::on(three));
    CHECK(again.loss == head.loss);
    CHECK(dh2.data == dh.data);
    CHECK(dw2.data == dw.data);
    CHECK(db2 == db);
  }
  SECTION("only one side is a head") {
    matrix<double> g2(z.samples, z.classes);
    const auto mixed = [&](const auto& student, const auto& teacher, auto&& into) {
      return objective(student, teacher, x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights),
                       lk::row_temperatures(x.temperatures), into);
    };
    const auto e = mixed(z.in(), lk::logits_of(x.ht.in(), x.wt.in()), lk::into(g2.out()));
    CHECK(e.loss == Approx(whole.loss).epsilon(1e-12));
    CHECK(distance(g2.data, g.data) < 1e-13);
    mixed(z.in(), lk::logits_of(x.ht.in(), x.wt.in()), lk::add_to(g2.out()));
    for (double& v : g2.data) v /= 2;
    CHECK(distance(g2.data, g.data) < 1e-13);
    auto dh2 = dh;
    mixed(lk::logits_of(x.h.in(), x.w.in(), x.b), zt.in(), lk::into(lk::head_gradient(dh2.out())));
    CHECK(distance(dh2.data, dh.data) < 1e-13);
    const lk::tensor_target<double> cached{zt.in()};
    mixed(lk::logits_of(x.h.in(), x.w.in(), x.b), cached, lk::into(lk::head_gradient(dh2.out())));
    CHECK(distance(dh2.data, dh.data) < 1e-13);
  }
}

TEST_CASE("heads: temperatures from signals, deviations and optimisers, weights from signals, rowwise losses, reports", "[heads]") {
  const wide_batch x;
  const auto z = product(x.h, x.w), zt = product(x.ht, x.wt);
  const auto s = lk::logits_of(x.h.in(), x.w.in()), t = lk::logits_of(x.ht.in(), x.wt.in());
  matrix<double> g(z.samples, z.classes), dh(x.samples, x.width), dw(x.classes, x.width);
  const auto same = [&](const auto& objective) {
    const auto whole = objective(z.in(), zt.in(), x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights), lk::into(g.out()));
    const auto head = objective(s, t, x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights),
                                lk::into(lk::head_gradient(dh.out(), dw.out())));
    const chain expected(g, x.h, x.w);
    CHECK(head.rows == whole.rows);
    CHECK(head.loss == Approx(whole.loss).epsilon(1e-11));
    for (std::size_t i = 0; i < whole.temperature_gradient.size(); ++i)
      CHECK(head.temperature_gradient[i] == Approx(whole.temperature_gradient[i]).epsilon(1e-10).margin(1e-13));
    CHECK(distance(dh.data, expected.hidden.data) < 1e-12);
    CHECK(distance(dw.data, expected.weights.data) < 1e-12);
    CHECK(objective.value(s, t, x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights)) == Approx(head.loss).epsilon(1e-13));
  };
  SECTION("a learned temperature, a signal's weight") {
    double T = 1.7;
    same(lk::at_temperature(lk::learned(T), lk::forward_kl{}) + lk::of_teacher(lk::confidence{}) * lk::cross_entropy{});
  }
  SECTION("a signal for a temperature") {
    same(lk::at_temperature(1.0 + lk::of_teacher(lk::confidence{}), lk::reverse_kl{} + lk::cross_entropy{}));
  }
  SECTION("a deviation for a temperature, on the classes that are no target, and a row as a whole") {
    same(lk::at_temperature(lk::standardized(1.5), lk::forward_kl{}) + 0.5 * lk::on<lk::non_target>(lk::forward_kl{}) +
         0.1 * lk::uld{});
  }
  SECTION("a report") {
    const auto objective = lk::named<"hard">(0.5 * lk::cross_entropy{}) + lk::named<"soft">(lk::forward_kl{});
    const auto whole = objective.report(z.in(), zt.in(), x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights));
    const auto head = objective.report(s, t, x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights));
    REQUIRE(head.terms().size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(head.terms()[i].name == whole.terms()[i].name);
      CHECK(head.terms()[i].value == Approx(whole.terms()[i].value).epsilon(1e-11));
      CHECK(head.terms()[i].gradient_norm == Approx(whole.terms()[i].gradient_norm).epsilon(1e-11));
    }
    std::fill(dh.data.begin(), dh.data.end(), 7);
    (void)objective.report(s, t, x.labels, lk::row_mask(x.mask), lk::row_weights(x.weights), lk::into(lk::head_gradient(dh.out())));
    CHECK(dh.data == std::vector<double>(dh.data.size(), 7));  // a report writes to nobody
  }
}

TEST_CASE("heads: rows that do not count, and parts of a batch", "[heads]") {
  const std::size_t n = 40, k = 6, m = 11;
  auto h = random_matrix<double>(n, k, 1);
  const auto w = random_matrix<double>(m, k, 2), ht = random_matrix<double>(n, 4, 3), wt = random_matrix<double>(m, 4, 4);
  std::vector<std::int64_t> y(n);
  for (std::size_t r = 0; r < n; ++r) y[r] = static_cast<std::int64_t>(r * 7 % m);
  const auto objective = lk::cross_entropy{} + 2.0 * lk::at_temperature(3.0, lk::forward_kl{});
  matrix<double> dh(n, k), dw(m, k);
  const auto part = [&](std::size_t from, std::size_t count, auto&&... more) {
    const lk::rows<const double> hidden(&h.data[from * k], count, k), teacher(&ht.data[from * 4], count, 4);
    const lk::rows<double> gradient(&dh.data[from * k], count, k);
    return objective(lk::logits_of(hidden, w.in()), lk::logits_of(teacher, wt.in()), std::span(y).subspan(from, count), more...,
                     lk::add_to(lk::head_gradient(gradient, dw.out())));
  };

  SECTION("the sum of two parts is the whole, a weight's gradient among it") {
    const auto whole = objective(lk::logits_of(h.in(), w.in()), lk::logits_of(ht.in(), wt.in()), y,
                                 lk::into(lk::head_gradient(dh.out(), dw.out())));
    const auto dh1 = dh, dw1 = dw;
    std::fill(dh.data.begin(), dh.data.end(), 0);
    std::fill(dw.data.begin(), dw.data.end(), 0);
    const double loss = part(0, 13, lk::mean_over(n)).loss + part(13, n - 13, lk::mean_over(n)).loss;
    CHECK(loss == Approx(whole.loss).epsilon(1e-13));
    CHECK(distance(dh.data, dh1.data) < 1e-14);
    CHECK(distance(dw.data, dw1.data) < 1e-14);
  }
  SECTION("no row counts: zeros, or what stood there") {
    std::fill(y.begin(), y.end(), -100);
    std::fill(dh.data.begin(), dh.data.end(), 3);
    std::fill(dw.data.begin(), dw.data.end(), 3);
    CHECK(part(0, n).loss == 0);
    CHECK(dh.data == std::vector<double>(n * k, 3));
    CHECK(dw.data == std::vector<double>(m * k, 3));
    const auto e = objective(lk::logits_of(h.in(), w.in()), lk::logits_of(ht.in(), wt.in()), y,
                             lk::into(lk::head_gradient(dh.out(), dw.out())));
    CHECK(e.rows == 0);
    CHECK(dh.data == std::vector<double>(n * k, 0));
    CHECK(dw.data == std::vector<double>(m * k, 0));
  }
  SECTION("no rows at all") {
    const lk::rows<const double> none_h(nullptr, 0, k), none_t(nullptr, 0, 4);
    std::fill(dw.data.begin(), dw.data.end(), 3);
    const std::vector<int> no_labels;
    const auto e = objective(lk::logits_of(none_h, w.in()), lk::logits_of(none_t, wt.in()), no_labels,
                             lk::into(lk::head_gradient(nullptr, dw.out())));
    CHECK(e.rows == 0);
    CHECK(dw.data == std::vector<double>(m * k, 0));
  }
  SECTION("what is wrong is named, by the row of the call") {
    y[31] = 11;
    CHECK_THROWS_WITH(part(0, n), "limbeck: labels is 11 at row 31, expected 0 to 10, or ignore_index -100");
    y[31] = 3;
    h(17, 2) = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH(part(0, n), Contains("limbeck: student is nan at row 17, class 0"));
    h(17, 2) = 0;
    const auto short_w = random_matrix<double>(m, k - 1, 2);
    CHECK_THROWS_WITH(objective.value(lk::logits_of(h.in(), short_w.in()), lk::logits_of(ht.in(), wt.in()), y),
                      "limbeck: weights is float64 [11, 5] of a head whose hidden states are float64 [40, 6], expected classes x width");
    const std::vector<double> short_b(m - 1);
    CHECK_THROWS_WITH(objective.value(lk::logits_of(h.in(), w.in(), short_b), lk::logits_of(ht.in(), wt.in()), y),
                      "limbeck: bias has 10 elements, expected 11 (one a class)");
    const auto fewer = random_matrix<double>(n - 1, 4, 2);
    CHECK_THROWS_WITH(objective.value(lk::logits_of(h.in(), w.in()), lk::logits_of(fewer.in(), wt.in()), y),
                      Contains("limbeck: target has shape 39 x 11, expected 40 x 11"));
    const auto call = [&](auto&& gradient) {
      objective(lk::logits_of(h.in(), w.in()), lk::logits_of(ht.in(), wt.in()), y, lk::into(gradient));
    };
    matrix<double> small(n - 1, k);
    CHECK_THROWS_WITH(call(lk::head_gradient(small.out())), Contains("limbeck: hidden gradient has shape 39 x 6, expected 40 x 6"));
    CHECK_THROWS_WITH(call(lk::head_gradient(nullptr, small.out())), Contains("limbeck: weights gradient has shape 39 x 6, expected 11 x 6"));
    std::vector<double> one(3);
    CHECK_THROWS_WITH(call(lk::head_gradient(nullptr, nullptr, one)), Contains("limbeck: bias gradient has shape 1 x 3, expected 1 x 11"));
    matrix<float> narrow(m, k);
    CHECK_THROWS_WITH(call(lk::head_gradient(nullptr, narrow.out())),
                      "limbeck: weights gradient is float32, expected float64: it is summed over chunks of rows");
    const lk::rows<double> inside(h.data.data(), n, k);
    CHECK_THROWS_WITH(call(lk::head_gradient(inside)), "limbeck: a gradient overlaps what a call with heads reads; outputs need memory of their own");
    const auto given = random_matrix<double>(n, m, 6);
    const lk::rows<double> over_teacher(const_cast<double*>(given.data.data()), n, k);
    CHECK_THROWS_WITH(objective(lk::logits_of(h.in(), w.in()), given.in(), y, lk::into(lk::head_gradient(over_teacher))),
                      Contains("a gradient overlaps what a call with heads reads"));
    const lk::rows<double> over_head(const_cast<double*>(wt.data.data()), 4, m);
    const std::vector<std::int64_t> four(4, 1);
    const lk::rows<const double> student_of_four(given.data.data(), 4, m), teacher_of_four(ht.data.data(), 4, 4);
    CHECK_THROWS_WITH(objective(student_of_four, lk::logits_of(teacher_of_four, wt.in()), four, lk::into(over_head)),
                      Contains("a gradient overlaps what a call with heads reads"));
    CHECK_THROWS_WITH(lk::head_gradient(nullptr, nullptr, dw.out()), "limbeck: bias gradient is float64 [11, 6], expected a vector");
  }
}

namespace {

template <class Stored>
matrix<Stored> rounded(const matrix<float>& x) {
  matrix<Stored> y(x.samples, x.classes);
  for (std::size_t i = 0; i < x.data.size(); ++i) y.data[i] = Stored(x.data[i]);
  return y;
}
template <class Stored>
matrix<float> widened(const matrix<Stored>& x) {
  matrix<float> y(x.samples, x.classes);
  for (std::size_t i = 0; i < x.data.size(); ++i) y.data[i] = static_cast<float>(x.data[i]);
  return y;
}

}  // namespace

TEST_CASE("heads: weights and hidden states of 16 bits and of other types are their values in float", "[heads]") {
  // more classes than a block of converted weights has
  const std::size_t n = 30, k = 20, m = 2500;
  const auto h = rounded<lk::bfloat16>(random_matrix<float>(n, k, 1)), w = rounded<lk::bfloat16>(random_matrix<float>(m, k, 2));
  const auto ht = random_matrix<double>(n, 9, 3);
  const auto wt = rounded<lk::float16>(random_matrix<float>(m, 9, 4));
  const auto b = rounded<lk::bfloat16>(random_matrix<float>(1, m, 5));
  matrix<float> ht_float(n, 9);
  for (std::size_t i = 0; i < ht.data.size(); ++i) ht_float.data[i] = static_cast<float>(ht.data[i]);
  const auto hf = widened(h), wf = widened(w), wtf = widened(wt), bf = widened(b);
  std::vector<int> y(n);
  for (std::size_t r = 0; r < n; ++r) y[r] = r % 6 ? static_cast<int>(r * 71 % m) : -100;

  const auto objective = lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});
  matrix<float> dh(n, k), dw(m, k), dw16(m, k);
  matrix<lk::bfloat16> dh16(n, k);
  std::vector<float> db(m), db16(m);
  const auto expected = objective(lk::logits_of(hf.in(), wf.in(), bf.data), lk::logits_of(ht_float.in(), wtf.in()), y,
                                  lk::into(lk::head_gradient(dh.out(), dw.out(), db)));
  const auto found = objective(lk::logits_of(h.in(), w.in(), b.in()), lk::logits_of(ht.in(), wt.in()), y,
                               lk::into(lk::head_gradient(dh16.out(), dw16.out(), db16)));
  CHECK(found.loss == Approx(expected.loss).epsilon(1e-7));
  CHECK(distance(dw16.data, dw.data) < 1e-8);
  CHECK(distance(db16, db) < 1e-8);
  double off = 0;
  for (std::size_t i = 0; i < dh.data.size(); ++i)
    off = std::max(off, std::abs(static_cast<double>(static_cast<float>(dh16.data[i])) - static_cast<double>(dh.data[i])) -
                            std::ldexp(std::abs(static_cast<double>(dh.data[i])), -8));
  CHECK(off < 1e-9);
  const auto before = dh16;
  objective(lk::logits_of(h.in(), w.in(), b.in()), lk::logits_of(ht.in(), wt.in()), y, lk::add_to(lk::head_gradient(dh16.out())));
  for (std::size_t i = 0; i < before.data.size(); ++i)
    off = std::max(off, std::abs(static_cast<double>(static_cast<float>(dh16.data[i])) / 2 - static_cast<double>(dh.data[i])) -
                            std::ldexp(std::abs(static_cast<double>(dh.data[i])), -7));
  CHECK(off < 1e-9);
}

TEST_CASE("heads: named outputs, targets, and tensors whose type is known at run time", "[heads]") {
  const std::size_t n = 25, k = 5, m = 7;
  const auto h = random_matrix<float>(n, k, 1), w = random_matrix<float>(m, k, 2), ht = random_matrix<float>(n, k, 3),
             wt = random_matrix<float>(m, k, 4);
  std::vector<std::int64_t> y(n);
  for (std::size_t r = 0; r < n; ++r) y[r] = static_cast<std::int64_t>(r % m);
  const auto objective = lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});
  matrix<float> dh(n, k), dw(m, k), dh2(n, k), dw2(m, k);
  const auto expected = objective(lk::logits_of(h.in(), w.in()), lk::logits_of(ht.in(), wt.in()), y,
                                  lk::into(lk::head_gradient(dh.out(), dw.out())));

  SECTION("a head beside a layer, whose gradients meet in the hidden states") {
    const auto both = objective + lk::at<"hidden">(0.25 * lk::feature_mse{});
    matrix<float> layer(n, k);
    const auto e = both(lk::outputs{lk::output<"logits">(lk::logits_of(h.in(), w.in())), lk::output<"hidden">(h.in())},
                        lk::outputs{lk::output<"logits">(lk::logits_of(ht.in(), wt.in())), lk::output<"hidden">(ht.in())}, y,
                        lk::into(lk::outputs{lk::output<"logits">(lk::head_gradient(dh2.out(), dw2.out())),
                                             lk::output<"hidden">(layer.out())}));
    const auto features = (0.25 * lk::feature_mse{})(h.in(), ht.in());
    CHECK(e.loss == Approx(expected.loss + features.loss).epsilon(1e-6));
    CHECK(dh2.data == dh.data);
    CHECK(dw2.data == dw.data);
    CHECK(distance(layer.data, features.gradient) == 0);
  }
  SECTION("padded columns behind the first classes are zeros") {
    matrix<float> wide(n, m + 2), gradient(n, m + 2);
    std::fill(gradient.data.begin(), gradient.data.end(), -1.0F);
    const auto z = random_matrix<float>(n, m + 2, 8);
    objective(lk::first_classes(m, z.in()), lk::logits_of(ht.in(), wt.in()), y, lk::into(lk::first_classes(m, gradient.out())));
    double behind = 0;
    for (std::size_t r = 0; r < n; ++r) behind += std::abs(static_cast<double>(gradient(r, m))) + std::abs(static_cast<double>(gradient(r, m + 1)));
    CHECK(behind == 0);
  }
  SECTION("the gradient right behind the student, by name") {
    const auto named = lk::at<"logits">(lk::cross_entropy{});
    named(lk::logits_of(h.in(), w.in()), lk::into(lk::head_gradient(dh2.out())), y);
    lk::objective{lk::cross_entropy{}}(lk::logits_of(h.in(), w.in()), y, lk::into(lk::head_gradient(dh.out())));
    CHECK(dh2.data == dh.data);
  }
  SECTION("labels of the tokens' shape, and a temperature that the other width would mislead") {
    const std::ptrdiff_t shape[] = {5, 5};
    const lk::any_tensor labels(y.data(), lk::element_type::int64, shape);
    const auto e = objective.value(lk::logits_of(h.in(), w.in()), lk::logits_of(ht.in(), wt.in()), labels);
    CHECK(e == Approx(expected.loss).epsilon(1e-7));
    const auto fewer = random_matrix<float>(m - 2, k, 9);
    const auto misled = lk::at_temperature(1.0 + lk::of_teacher(lk::confidence{}), lk::cross_entropy{}) + lk::unscaled(lk::uld{});
    CHECK_THROWS_WITH(misled.value(lk::logits_of(h.in(), w.in()), lk::logits_of(ht.in(), fewer.in()), y),
                      Contains("has shape 25 x 5, expected 25 x 7"));
    const lk::any_tensor flat(h.data.data(), lk::element_type::float32, std::span(shape, 1));
    CHECK_THROWS_WITH(lk::objective{lk::cross_entropy{}}.value(lk::logits_of(flat, flat), y), Contains("limbeck: hidden is float32 [5]"));
  }
  SECTION("a teacher of two: rows of a head are asked for like any other target's") {
    const auto zt = product(ht, wt);
    matrix<float> zf(n, m);
    for (std::size_t i = 0; i < zt.data.size(); ++i) zf.data[i] = static_cast<float>(zt.data[i]);
    const auto one = random_matrix<float>(n, m, 8);
    const double a = objective.value(one.in(), lk::mean_of_logits(lk::logits_of(ht.in(), wt.in()), one.in()), y);
    const double b = objective.value(one.in(), lk::mean_of_logits(zf.in(), one.in()), y);
    CHECK(a == Approx(b).epsilon(1e-6));
  }
  SECTION("a teacher of another vocabulary") {
    const auto more = random_matrix<float>(m + 40, k, 9);
    const auto zs = product(h, w), zt = product(ht, more);
    matrix<float> sf(n, m), tf(n, m + 40), gf(n, m);
    for (std::size_t i = 0; i < zs.data.size(); ++i) sf.data[i] = static_cast<float>(zs.data[i]);
    for (std::size_t i = 0; i < zt.data.size(); ++i) tf.data[i] = static_cast<float>(zt.data[i]);
    const auto other = lk::cross_entropy{} + lk::uld{};
    const auto whole = other(sf.in(), tf.in(), y, lk::into(gf.out()));
    const auto e = other(lk::logits_of(h.in(), w.in()), lk::logits_of(ht.in(), more.in()), y,
                         lk::into(lk::head_gradient(dh2.out())));
    CHECK(e.loss == Approx(whole.loss).epsilon(1e-6));
    matrix<double> g(n, m);
    for (std::size_t i = 0; i < g.data.size(); ++i) g.data[i] = static_cast<double>(gf.data[i]);
    CHECK(distance(dh2.data, chain(g, h, w).hidden.data) < 1e-6);
  }
  SECTION("views of a type known at run time") {
    const auto any = [](const auto& x) {
      const std::ptrdiff_t shape[] = {static_cast<std::ptrdiff_t>(x.samples), static_cast<std::ptrdiff_t>(x.classes)};
      return lk::any_tensor(x.data.data(), lk::element_type::float32, shape, false);
    };
    const std::ptrdiff_t count[] = {static_cast<std::ptrdiff_t>(n)};
    const lk::any_tensor labels(y.data(), lk::element_type::int64, count);
    const auto e = objective(lk::logits_of(any(h), any(w)), lk::logits_of(any(ht), any(wt)), labels,
                             lk::into(lk::head_gradient(any(dh2), any(dw2))));
    CHECK(e.loss == Approx(expected.loss).epsilon(1e-7));
    CHECK(distance(dh2.data, dh.data) < 1e-8);
    CHECK(distance(dw2.data, dw.data) < 1e-8);
  }
#if LIMBECK_TEST_EIGEN
  SECTION("Eigen's matrices, weights of width x classes among them") {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const Matrix> he(h.data.data(), n, k), te(ht.data.data(), n, k), we(w.data.data(), m, k);
    const Matrix columns = Eigen::Map<const Matrix>(wt.data.data(), m, k).transpose();
    Matrix gh(n, k), gw(m, k);
    const auto e = objective(lk::logits_of(he, we), lk::logits_of(te, lk::samples_in_columns(columns)), y,
                             lk::into(lk::head_gradient(gh, gw)));
    CHECK(e.loss == Approx(expected.loss).epsilon(1e-6));
    CHECK(distance(std::span(gh.data(), n * k), dh.data) < 1e-7);
    CHECK(distance(std::span(gw.data(), m * k), dw.data) < 1e-7);
  }
#endif
}
