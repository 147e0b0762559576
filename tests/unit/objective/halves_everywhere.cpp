// Rows of 16 bits beside whatever else a call may be given: each call is that on their values in float, bit for bit.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace lk = limbeck;
using Catch::Contains;

namespace {

constexpr std::size_t samples = 9;

template <class Stored>
struct logits {
  std::size_t classes;
  std::vector<Stored> stored;
  std::vector<float> plain;
  logits(std::size_t c, unsigned seed, float deviation = 3) : classes(c) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, deviation);
    for (std::size_t i = 0; i < samples * c; ++i) put(i, normal(random));
  }
  void put(std::size_t i, float x) {
    if (i == stored.size()) stored.emplace_back(), plain.emplace_back();
    stored[i] = Stored(x);
    plain[i] = stored[i];
  }
  lk::rows<const Stored> rows() const { return {stored.data(), samples, classes}; }
  lk::rows<const float> plain_rows() const { return {plain.data(), samples, classes}; }
};

const std::vector<int> labels{0, 1, 2, -100, 2, 0, 1, 1, 0};

/// call(student, teacher, gradient) returns what a call returns.
template <class Stored, class Call>
void check_rows(const logits<Stored>& s, const logits<Stored>& t, const Call& call) {
  const std::size_t n = s.stored.size();
  std::vector<float> wanted(n, 7), wide(n, 7), sum = wanted;
  std::vector<Stored> narrow(n, Stored(7.0F)), added(n, Stored(7.0F));
  const auto grid = [&](auto& x) { return lk::rows(x.data(), samples, s.classes); };
  const double expected = call(s.plain_rows(), t.plain_rows(), lk::into(grid(wanted))).loss;
  CHECK(call(s.rows(), t.rows(), lk::into(grid(narrow))).loss == expected);
  CHECK(call(s.rows(), t.rows(), lk::into(grid(wide))).loss == expected);
  CHECK(call(s.rows(), t.plain_rows(), lk::into(grid(narrow))).loss == expected);
  CHECK(call(s.plain_rows(), t.rows(), lk::into(grid(narrow))).loss == expected);
  CHECK(call(s.rows(), t.rows(), lk::add_to(grid(added))).loss == expected);
  CHECK(call(s.plain_rows(), t.plain_rows(), lk::into(grid(narrow))).loss == expected);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < n; ++i) {
    wrong += narrow[i].bits != Stored(wanted[i]).bits || std::memcmp(&wide[i], &wanted[i], sizeof(float)) != 0;
    wrong += added[i].bits != Stored(7.0F + wanted[i]).bits;
  }
  CHECK(wrong == 0);
}
template <class Stored, class Call>
void check(const Call& call) {
  for (const std::size_t classes : {std::size_t{5}, std::size_t{37}, std::size_t{64}, std::size_t{1100}, std::size_t{2600}})
    check_rows(logits<Stored>(classes, 1), logits<Stored>(classes, 2), call);
}

/// Half of the squared distance, in a row as a whole.
struct distance_of_rows {
  using limbeck_loss = limbeck::rowwise;
  static constexpr int temperature_power = 0;
  template <class T>
  T operator()(const limbeck::row<T>& x) const {
    T value = 0;
    for (std::size_t i = 0; i < x.student.size(); ++i) {
      const T d = x.student[i] - x.teacher[i];
      value += d * d / 2;
      if (!x.gradient.empty()) x.gradient[i] += x.scale * d;
    }
    return value;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("16 bits beside weights and masks", "[halves]", lk::float16, lk::bfloat16) {
  const lk::objective loss{lk::cross_entropy{.smoothing = 0.1} + lk::at_temperature(2.0, lk::forward_kl{} + lk::reverse_kl{})};
  const std::vector<float> weights{1, 0, 2, 1, 0.5F, 1, 3, 1, 0.25F};
  const std::vector<int> mask{1, 1, 0, 1, 1, 1, 0, 1, 1};
  check<TestType>([&](const auto& s, const auto& t, auto g) {
    return loss(s, t, labels, g, lk::row_weights(weights), lk::row_mask(mask), lk::on(lk::openmp{2}));
  });
  const lk::objective among{lk::at_temperature(3.0, lk::on<lk::masked>(lk::forward_kl{})) + lk::cross_entropy{}};
  check<TestType>([&](const auto& s, const auto& t, auto g) {
    std::vector<int> shown(s.classes, 1);
    for (std::size_t c = 1; c < shown.size(); c += 3) shown[c] = 0;
    return among(s, t, labels, g, lk::class_mask(shown), lk::sum);
  });
}

TEMPLATE_TEST_CASE("16 bits in every kind of loss", "[halves]", lk::float16, lk::bfloat16) {
  const auto given = [](const auto& loss) {
    return [&loss](const auto& s, const auto& t, auto g) { return loss(s, t, labels, g); };
  };
  const auto unlabelled = [](const auto& loss) {
    return [&loss](const auto& s, const auto& t, auto g) { return loss(s, t, g); };
  };
  const lk::objective decoupled{lk::at_temperature(4.0, lk::dkd{})};
  check<TestType>(given(decoupled));
  const lk::objective of_logits{lk::mse{}};
  check<TestType>(unlabelled(of_logits));
  const lk::objective whole_rows{distance_of_rows{} + 0.5 * lk::forward_kl{}};
  check<TestType>(unlabelled(whole_rows));
  const lk::objective standard{lk::at_temperature(lk::standardized(2.0), lk::forward_kl{})};
  check<TestType>(unlabelled(standard));
  const lk::objective by_signal{lk::of_teacher(lk::confidence{}) * lk::forward_kl{} + lk::of_student(lk::entropy{}) * lk::cross_entropy{}};
  check<TestType>(given(by_signal));
  const std::vector<float> temperatures{1, 2, 3, 4, 5, 1, 2, 3, 4};
  const lk::objective warm{lk::at_temperature(lk::per_row{}, lk::forward_kl{})};
  check<TestType>([&](const auto& s, const auto& t, auto g) { return warm(s, t, g, lk::row_temperatures(temperatures)); });
}

TEMPLATE_TEST_CASE("16 bits as soft labels, and as members of an ensemble", "[halves]", lk::float16, lk::bfloat16) {
  const lk::objective loss{lk::cross_entropy{} + 0.5 * lk::forward_kl{}};
  check<TestType>([&](const auto& s, const auto& t, auto g) {
    std::vector<TestType> p(samples * s.classes, TestType(1.0F / 64));
    return loss(s, t, g, lk::soft_labels(lk::rows<const TestType>(p.data(), samples, s.classes)));
  });
  const lk::objective kl{lk::forward_kl{}};
  const logits<TestType> s(1100, 1), a(1100, 2), b(1100, 3);
  const double expected = kl.value(s.plain_rows(), lk::mean_of_probabilities(a.plain_rows(), b.plain_rows()));
  CHECK(kl.value(s.rows(), lk::mean_of_probabilities(a.plain_rows(), b.plain_rows())) == expected);
}

TEMPLATE_TEST_CASE("16 bits of masked classes, and of rows of infinite loss", "[halves]", lk::float16, lk::bfloat16) {
  const lk::objective loss{lk::at_temperature(2.0, lk::forward_kl{}) + lk::cross_entropy{}};
  const float none = -std::numeric_limits<float>::infinity();
  for (const std::size_t classes : {std::size_t{37}, std::size_t{1100}}) {
    logits<TestType> s(classes, 1), t(classes, 2);
    for (std::size_t r = 0; r < samples; ++r) s.put(r * classes + 11, none), t.put(r * classes + 11, none);
    t.put(3 * classes + 20, none);
    const auto call = [&](const auto& x, const auto& y, auto g) { return loss(x, y, labels, g); };
    check_rows(s, t, call);
    s.put(5 * classes + 21, none);  // the teacher has probability there
    std::vector<float> plain(samples), values(samples), g(s.plain.size());
    std::vector<TestType> narrow(g.size());
    loss(s.plain_rows(), t.plain_rows(), labels, lk::row_losses(plain), lk::into(lk::rows(g.data(), samples, classes)));
    loss(s.rows(), t.rows(), labels, lk::row_losses(values), lk::into(lk::rows(narrow.data(), samples, classes)));
    CHECK(values == plain);
    CHECK(std::isinf(values[5]));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < g.size(); ++i) wrong += narrow[i].bits != TestType(g[i]).bits;
    CHECK(wrong == 0);
    const lk::objective reverse{lk::reverse_kl{}};  // whose gradient is infinite with the loss, and held
    CHECK(std::isinf(reverse(s.rows(), t.rows(), lk::into(lk::rows(narrow.data(), samples, classes))).loss));
    bool finite = true;
    for (const TestType x : narrow) finite = finite && std::isfinite(static_cast<float>(x));
    CHECK(finite);
    t.put(7 * classes + 30, std::numeric_limits<float>::quiet_NaN());
    CHECK_THROWS_WITH(loss.value(s.rows(), t.rows(), labels), Contains("teacher is nan at row 7, class 30"));
  }
}

TEMPLATE_TEST_CASE("16 bits in reports, signals, batchwise losses and learned temperatures", "[halves]", lk::float16, lk::bfloat16) {
  const logits<TestType> s(1100, 1), t(1100, 2);
  const lk::objective loss{lk::cross_entropy{} + 0.5 * lk::at_temperature(2.0, lk::forward_kl{})};
  const auto of = loss.report(s.rows(), t.rows(), labels), expected = loss.report(s.plain_rows(), t.plain_rows(), labels);
  for (std::size_t k = 0; k < expected.terms().size(); ++k) {
    CHECK(of.terms()[k].value == expected.terms()[k].value);
    CHECK(of.terms()[k].gradient_norm == Approx(expected.terms()[k].gradient_norm).epsilon(2e-3));  // of 16 bits
  }
  std::vector<float> measured(samples), plainly(samples);
  lk::measure(lk::of_teacher(lk::entropy{}), s.rows(), t.rows(), measured);
  lk::measure(lk::of_teacher(lk::entropy{}), s.plain_rows(), t.plain_rows(), plainly);
  CHECK(measured == plainly);
  for (const std::size_t classes : {std::size_t{8}, std::size_t{70}}) {
    const lk::objective relations{lk::rkd_distance{}};
    const lk::objective hints{lk::hint{}};
    const logits<TestType> x(classes, 3), y(classes, 4);
    check_rows(x, y, [&](const auto& a, const auto& b, auto g) { return relations(a, b, g); });
    check_rows(x, y, [&](const auto& a, const auto& b, auto g) { return hints(a, b, g); });
  }
  const double warmth = 3;
  const lk::objective learns{lk::at_temperature(lk::learned(warmth), lk::forward_kl{})};
  std::vector<TestType> narrow(s.stored.size());
  std::vector<float> g(s.stored.size());
  const auto e = learns(s.rows(), t.rows(), lk::into(lk::rows(narrow.data(), samples, s.classes)));
  const auto f = learns(s.plain_rows(), t.plain_rows(), lk::into(lk::rows(g.data(), samples, s.classes)));
  CHECK(e.temperature_gradient == f.temperature_gradient);
}
