// Every signal against its definition in long double.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace lk = limbeck;
using real = long double;

namespace {

template <class T>
struct batch_of_rows {
  std::size_t samples, classes;
  std::vector<T> student, teacher;
  std::vector<int> labels;

  batch_of_rows(std::size_t n, std::size_t c, std::uint64_t seed) : samples(n), classes(c) {
    lk::random_stream random(seed);
    for (std::size_t i = 0; i < n * c; ++i) {
      student.push_back(static_cast<T>(2 * random.normal()));
      teacher.push_back(static_cast<T>(2 * random.normal()));
    }
    for (std::size_t r = 0; r < n; ++r) labels.push_back(static_cast<int>(random.below(c)));
  }
  lk::rows<const T> s() const { return {student.data(), samples, classes}; }
  lk::rows<const T> t() const { return {teacher.data(), samples, classes}; }
};

template <class T>
std::vector<real> probabilities(lk::rows<const T> x, std::size_t r, real temperature = 1) {
  std::vector<real> p;
  real top = -std::numeric_limits<real>::infinity(), z = 0;
  for (std::size_t c = 0; c < x.classes; ++c) top = std::max(top, static_cast<real>(x(r, c)));
  for (std::size_t c = 0; c < x.classes; ++c) p.push_back(std::exp((static_cast<real>(x(r, c)) - top) / temperature));
  for (const real v : p) z += v;
  for (real& v : p) v /= z;
  return p;
}
real entropy_of(const std::vector<real>& p) {
  real h = 0;
  for (const real v : p) h -= v > 0 ? v * std::log(v) : 0;
  return h;
}

template <class T>
void check(const std::vector<T>& measured, std::size_t r, real expected) {
  const double tolerance = sizeof(T) == 4 ? 2e-5 : 1e-12;
  CAPTURE(r, expected);
  CHECK(static_cast<double>(measured[r]) == Approx(static_cast<double>(expected)).epsilon(tolerance).margin(tolerance));
}

}  // namespace

TEMPLATE_TEST_CASE("signals of one row are what they are defined to be", "[signal]", float, double) {
  using T = TestType;
  for (const std::size_t classes : {2U, 3U, 16U, 26U, 1000U}) {
    const batch_of_rows<T> b(9, classes, classes);
    std::vector<T> entropy(9), confidence(9), margin(9), energy(9), correct(9), own(9), loss(9), warm(9);
    lk::measure(lk::entropy{}, b.s(), entropy);
    lk::measure(lk::confidence{}, b.s(), confidence);
    lk::measure(lk::margin{}, b.s(), margin);
    lk::measure(lk::at_temperature(2.5, lk::energy{}), b.s(), energy);
    lk::measure(lk::correctness{}, b.s(), b.labels, correct);
    lk::measure(lk::label_probability{}, b.s(), b.labels, own);
    lk::measure(lk::label_loss{}, b.s(), b.labels, loss);
    lk::measure(lk::at_temperature(2.5, lk::of_teacher(lk::entropy{})), b.s(), b.t(), warm);
    for (std::size_t r = 0; r < 9; ++r) {
      const auto p = probabilities(b.s(), r);
      auto sorted = p;
      std::sort(sorted.rbegin(), sorted.rend());
      const auto y = static_cast<std::size_t>(b.labels[r]);
      check(entropy, r, entropy_of(p));
      check(confidence, r, sorted[0]);
      check(margin, r, sorted[0] - sorted[1]);
      real z = 0;
      for (std::size_t c = 0; c < classes; ++c) z += std::exp(static_cast<real>(b.s()(r, c)) / 2.5L);
      check(energy, r, -2.5L * std::log(z));
      check(correct, r, p[y] == sorted[0] ? 1 : 0);
      check(own, r, p[y]);
      check(loss, r, -std::log(p[y]));
      check(warm, r, entropy_of(probabilities(b.t(), r, 2.5L)));
    }
  }
}

TEMPLATE_TEST_CASE("the divergence of student and teacher is a signal", "[signal]", float, double) {
  using T = TestType;
  const batch_of_rows<T> b(5, 33, 7);
  std::vector<T> forward(5), reverse(5), loss(5);
  lk::measure(lk::divergence_of(lk::forward_kl{}), b.s(), b.t(), forward);
  lk::measure(lk::divergence_of(lk::reverse_kl{}), b.s(), b.t(), reverse);
  lk::objective{lk::reverse_kl{}}.value(b.s(), b.t(), lk::row_losses(loss));
  for (std::size_t r = 0; r < 5; ++r) {
    const auto q = probabilities(b.s(), r), p = probabilities(b.t(), r);
    real expected = 0;
    for (std::size_t c = 0; c < 33; ++c) expected += p[c] * std::log(p[c] / q[c]);
    check(forward, r, expected);
    CHECK(reverse[r] == Approx(loss[r]).epsilon(1e-6));
  }
}

TEST_CASE("signals at the edge", "[signal]") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> logits{0, 0, 0,  -inf, 5, -inf,  1e4, -1e4, 1e4,  2, 1, -inf};
  const lk::rows<const double> x(logits.data(), 4, 3);
  std::vector<double> out(4);
  lk::measure(lk::entropy{}, x, out);
  CHECK(out[0] == Approx(std::log(3.0)));
  CHECK(out[1] == 0);
  CHECK(out[2] == Approx(std::log(2.0)));
  lk::measure(lk::margin{}, x, out);
  CHECK(out[0] == 0);
  CHECK(out[1] == 1);
  CHECK(out[2] == 0);
  CHECK(out[3] == Approx(1 / (1 + std::exp(-1.0)) - 1 / (1 + std::exp(1.0))));
  const std::vector<int> tied{2, 1, 0, 1};
  lk::measure(lk::correctness{}, x, tied, out);
  CHECK(out == std::vector<double>{1, 1, 1, 0});

}

TEST_CASE("signals compose like numbers, schedules included", "[signal]") {
  const batch_of_rows<double> b(6, 11, 3);
  std::vector<double> h(6), m(6), out(6);
  lk::measure(lk::entropy{}, b.s(), h);
  lk::measure(lk::of_teacher(lk::margin{}), b.s(), b.t(), m);
  const auto student = lk::of_student(lk::entropy{});
  const auto teacher = lk::of_teacher(lk::margin{});

  lk::measure(2 * student - teacher / 4 + 1, b.s(), b.t(), out);
  for (std::size_t r = 0; r < 6; ++r) CHECK(out[r] == Approx(2 * h[r] - m[r] / 4 + 1));
  lk::measure(student > 1.2 && !(teacher >= lk::linear(0.0, 0.4)), b.s(), b.t(), lk::progress(0.5), out);
  for (std::size_t r = 0; r < 6; ++r) CHECK(out[r] == (h[r] > 1.2 && m[r] < 0.2 ? 1 : 0));
  lk::measure(lk::exp(-student) || teacher < 0.0, b.s(), b.t(), out);
  for (std::size_t r = 0; r < 6; ++r) CHECK(out[r] == 1);
  lk::measure(lk::clamp(lk::pow(student, 2.0), 0.5, 2.0), b.s(), out);
  for (std::size_t r = 0; r < 6; ++r) CHECK(out[r] == Approx(std::clamp(h[r] * h[r], 0.5, 2.0)));
  lk::measure(lk::map([](double x, double y) { return x * y; }, student, teacher), b.s(), b.t(), out);
  for (std::size_t r = 0; r < 6; ++r) CHECK(out[r] == Approx(h[r] * m[r]));
  const std::vector<float> mine{1, 2, 3, 4, 5, 6};
  lk::measure(lk::given(mine) * lk::log(student), b.s(), out);
  for (std::size_t r = 0; r < 6; ++r) CHECK(out[r] == Approx(static_cast<double>(mine[r]) * std::log(h[r])));
}

TEST_CASE("what is wrong with a signal is said", "[signal][errors]") {
  batch_of_rows<double> b(3, 4, 3);
  std::vector<double> out(3);
  const std::vector<double> two{1, 2};
  CHECK_THROWS_WITH(lk::measure(lk::given(two), b.s(), out),
                    "limbeck: given has 2 elements, expected 3 (one a row)");
  CHECK_THROWS_WITH(lk::measure(lk::log(lk::of_student(lk::entropy{}) - 50), b.s(), out),
                    "limbeck: a signal is not finite at row 0; it weighs a loss, is a setting of one, or is measured");
  b.student[5] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(lk::measure(lk::entropy{}, b.s(), out),
                    "limbeck: student is nan at row 1, class 1; logits are finite, or -inf for a masked class");
}

TEMPLATE_TEST_CASE("signals of an ensemble", "[signal]", float, double) {
  using T = TestType;
  for (const std::size_t classes : {1U, 3U, 26U, 101U}) {
    const batch_of_rows<T> b(6, classes, 21), other(6, classes, 22);
    std::vector<T> variance(6), information(6), same(6);
    lk::measure(lk::ensemble_variance(b.s(), b.t(), other.s()), b.s(), variance);
    lk::measure(lk::mutual_information(b.s(), b.t(), other.s()), b.s(), information);
    lk::measure(lk::ensemble_variance(b.t(), b.t()), b.s(), same);
    for (std::size_t r = 0; r < 6; ++r) {
      const std::vector<real> p[] = {probabilities(b.s(), r), probabilities(b.t(), r), probabilities(other.s(), r)};
      std::vector<real> average(classes);
      real spread = 0, entropies = 0;
      for (std::size_t c = 0; c < classes; ++c) average[c] = (p[0][c] + p[1][c] + p[2][c]) / 3;
      for (const auto& one : p) {
        for (std::size_t c = 0; c < classes; ++c) spread += (one[c] - average[c]) * (one[c] - average[c]) / 3;
        entropies += entropy_of(one) / 3;
      }
      check(variance, r, spread);
      check(information, r, entropy_of(average) - entropies);
      CHECK(same[r] == 0);
    }
  }
}

TEST_CASE("an ensemble that disagrees weighs a loss; its shapes are checked", "[signal]") {
  const batch_of_rows<double> b(5, 9, 3), wide(5, 10, 3);
  std::vector<double> variance(5), losses(5), plain(5);
  const auto signal = lk::ensemble_variance(b.s(), b.t());
  lk::measure(signal, b.s(), variance);
  (signal * lk::forward_kl{}).value(b.s(), b.t(), lk::row_losses(losses));
  lk::objective{lk::forward_kl{}}.value(b.s(), b.t(), lk::row_losses(plain));
  for (std::size_t r = 0; r < 5; ++r) CHECK(losses[r] == Approx(variance[r] * plain[r]));
  CHECK_THROWS_WITH(lk::ensemble_variance(b.s(), wide.s()),
                    "limbeck: a teacher of the ensemble has shape 5 x 10, expected 5 x 9 (samples x classes)");
}

TEST_CASE("measure says where its numbers do not fit", "[signal][errors]") {
  const std::vector<double> x(6);
  const lk::rows<const double> s(x.data(), 2, 3);
  std::vector<double> out(3);
  CHECK_THROWS_WITH(lk::measure(lk::entropy{}, s, out),
                    "limbeck: the last argument of measure has 3 elements, expected 2 (one a row)");
}
