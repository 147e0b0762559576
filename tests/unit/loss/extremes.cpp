// Rows at the edge: what is finite in the definition is finite here, what is infinite is +inf, and nothing is NaN.

#include "catch.hpp"
#include "specimens.hpp"

#include <limbeck/core/errors.hpp>

#include <algorithm>
#include <cmath>

using namespace limbeck_test;

namespace {

template <class T>
bool finite(const std::vector<T>& x) {
  return std::all_of(x.begin(), x.end(), [](T v) { return v - v == 0; });
}
template <class T>
std::string in_words(const specimen& loss, double t) {
  return loss.title() + (sizeof(T) == 4 ? " in float" : " in double") + ", T = " + std::to_string(t);
}

/// Against the definition; an infinite value has whatever gradient, so long as it is no NaN.
template <class T>
void check_row(const specimen& loss, const batch<T>& b, double t, real tolerance = 1e-5L) {
  const auto got = loss(b, t);
  INFO(in_words<T>(loss, t));
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto expected = loss.expected(b, r, t);
    INFO("row " << r << ": " << got.values[r] << ", expected " << static_cast<double>(expected.value));
    if (expected.value == real_infinity || expected.value > static_cast<real>(std::numeric_limits<T>::max())) {
      CHECK(got.values[r] == infinity<T>);
      for (std::size_t i = 0; i < b.classes; ++i)
        CHECK_FALSE(std::isnan(static_cast<double>(got.gradient[r * b.classes + i])));
      continue;
    }
    const real ulps = 16 * static_cast<real>(std::numeric_limits<T>::epsilon());
    CHECK(std::fabs(static_cast<real>(got.values[r]) - expected.value) <= tolerance * std::fabs(expected.value) + ulps);
    for (std::size_t i = 0; i < b.classes; ++i) {
      INFO("class " << i);
      const real wanted = expected.gradient[i], scale = 1 / static_cast<real>(t);
      CHECK(std::fabs(static_cast<real>(got.gradient[r * b.classes + i]) - wanted) <=
            tolerance * std::fabs(wanted) + 4 * ulps * scale);
    }
  }
}

template <class T>
batch<T> rows_of(std::size_t classes, std::vector<T> student, std::vector<T> teacher, int label = 0) {
  batch<T> b{student.size() / classes, classes, std::move(student), std::move(teacher), {}};
  b.labels.assign(b.samples, label);
  return b;
}

template <class T>
void check_everything() {
  const T inf = infinity<T>, big = T(1e4);
  for (const auto& loss : all_specimens()) {
    const bool smooth = loss.name == "cross_entropy" && loss.parameters[0] > 0;
    for (const double t : {1.0, 4.0}) {
      if (loss.own_temperature && t != 1) continue;
      // all equal, on one side and on both
      check_row<T>(loss, rows_of<T>(5, {1, 1, 1, 1, 1, 2, 2, 2, 2, 2}, {3, 3, 3, 3, 3, 0, 1, 2, 3, 4}), t);
      // one class: there is nothing to learn
      INFO(in_words<T>(loss, t));
      if (!loss.takes_one_class) CHECK_THROWS_AS(loss(rows_of<T>(1, {2, -7}, {T(-0.5), 3}), t), limbeck::shape_error);
      if (loss.of_features) continue;  // -inf is a fault
      // -inf on both sides, in the same classes
      if (!smooth) {
        check_row<T>(loss, rows_of<T>(6, {0, -inf, 1, -inf, -inf, 2}, {1, -inf, 0, -inf, -inf, 1}), t);
        check_row<T>(loss, rows_of<T>(4, {-inf, -inf, 1, -inf}, {-inf, -inf, 5, -inf}, 2), t);
      }
      // on one side only; the label is masked on neither
      check_row<T>(loss, rows_of<T>(6, {0, -inf, 1, 3, 2, 2}, {1, 2, 0, 1, 0, 1}), t);
      check_row<T>(loss, rows_of<T>(6, {0, 4, 1, 3, 2, 2}, {1, -inf, 0, 1, 0, 1}), t);
      // many classes, more than one pack of them
      std::vector<T> s(40, T(0.5)), v(40, T(0.25));
      s[37] = -inf;
      check_row<T>(loss, rows_of<T>(40, s, v), t);
      check_row<T>(loss, rows_of<T>(40, v, s), t);
    }
  }
  // logits of +-1e4, where probabilities underflow: the value is large and finite
  for (const auto& loss : all_specimens())
    for (const double t : {1.0, 4.0}) {
      if (loss.own_temperature && t != 1) continue;
      if (loss.name == "alpha_divergence" && (loss.parameters[0] < 0 || loss.parameters[0] > 1)) continue;  // p/q
      for (const int label : {0, 1, 3}) {
        check_row<T>(loss, rows_of<T>(4, {big, 0, 0, 0}, {big, 0, 0, 0}, label), t);
        check_row<T>(loss, rows_of<T>(4, {big, 0, 0, 0}, {0, big, 0, 0}, label), t);
        check_row<T>(loss, rows_of<T>(4, {big, -big, 0, 1}, {1, 0, big, -big}, label), t);
        check_row<T>(loss, rows_of<T>(4, {0, 1, 2, 3}, {-big, 0, big, 0}, label), t);
        check_row<T>(loss, rows_of<T>(4, {0, 0, -big, 0}, {0, 1, 2, 3}, label), t);
        check_row<T>(loss, rows_of<T>(4, {big, big, big, big}, {-big, -big, -big, -big}, label), t);
      }
    }
}

}  // namespace

TEST_CASE("rows at the edge in float") { check_everything<float>(); }
TEST_CASE("rows at the edge in double") { check_everything<double>(); }

TEST_CASE("a label on a masked class costs infinity") {
  const float inf = infinity<float>;
  for (const auto& loss : all_specimens()) {
    if (loss.name != "cross_entropy") continue;
    const auto got = loss(rows_of<float>(3, {-inf, 0, 1, 0, 0, 1}, {0, 0, 0, 0, 0, 0}), 2);
    CHECK(got.values[0] == inf);
    CHECK(std::isfinite(got.values[1]));
    CHECK(got.loss == static_cast<double>(inf));
    for (const float g : got.gradient) CHECK_FALSE(std::isnan(g));
  }
}

TEST_CASE("temperatures from a thousandth to a thousand") {
  for (const auto& loss : all_specimens()) {
    if (loss.own_temperature) continue;
    const bool ratio = loss.name == "alpha_divergence" && (loss.parameters[0] < 0 || loss.parameters[0] > 1);
    for (const double t : {1e-3, 1e-2, 0.1, 10.0, 1e3}) {
      if (ratio && t < 1) continue;  // p/q is beyond the largest float
      const auto got = loss(random_batch<float>(4, 50, 3), t);
      INFO(loss.title() << ", T = " << t);
      CHECK(finite(got.values));
      CHECK(finite(got.gradient));
      for (const float v : got.values) CHECK(v >= 0);
    }
  }
}

TEST_CASE("a quarter of a million classes") {
  const auto b = random_batch<float>(1, 250'003, 5, 3.0, 0.1);
  for (const auto& loss : all_specimens()) {
    if (loss.parameters.size() == 1 && loss.parameters[0] != 0.5 && loss.parameters[0] != 0.1) continue;
    if (loss.name == "dkd" && loss.parameters[1] == 0) continue;  // a label with no probability to speak of
    const auto got = loss(b, 2);
    const auto expected = loss.expected(b, 0, 2);
    real norm = 0, off = 0, sum = 0;
    for (std::size_t i = 0; i < b.classes; ++i) {
      const real d = static_cast<real>(got.gradient[i]) - expected.gradient[i];
      off += d * d, norm += expected.gradient[i] * expected.gradient[i], sum += static_cast<real>(got.gradient[i]);
    }
    INFO(loss.title());
    CHECK(std::fabs(static_cast<real>(got.values[0]) - expected.value) <= 1e-5L * expected.value);
    // total variation has a kink at p = q, and some of so many classes are nearly there
    if (loss.name != "total_variation") CHECK(std::sqrt(off) <= 2e-5L * std::sqrt(norm));
  }
}
