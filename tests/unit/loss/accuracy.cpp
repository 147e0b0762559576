// Value and gradient of every loss against its definition in long double.

#include "catch.hpp"
#include "specimens.hpp"

#include <algorithm>
#include <initializer_list>
#include <limits>

using namespace limbeck_test;

namespace {

struct error {
  real value = 0, gradient = 0;
};

/// Errors relative to the sum of the values and to the norm of the gradient.
template <class T>
error errors(const specimen& loss, const batch<T>& b, double t) {
  const auto got = loss(b, t);
  real total = 0, miss = 0, norm = 0, off = 0;
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto expected = loss.expected(b, r, t);
    total += expected.value;
    miss += std::fabs(expected.value - static_cast<real>(got.values[r]));
    for (std::size_t i = 0; i < b.classes; ++i) {
      const real d = static_cast<real>(got.gradient[r * b.classes + i]) - expected.gradient[i];
      off += d * d;
      norm += expected.gradient[i] * expected.gradient[i];
    }
  }
  // one class, or two for the non-target losses: 0 is expected, and nothing else will do
  const auto ratio = [](real above, real below) { return above == 0 ? 0 : above / below; };
  return {ratio(miss, total), ratio(std::sqrt(off), std::sqrt(norm))};
}

/// How many times more a loss may be off, and why.
real allowance(const specimen& loss, double t) {
  // the target part alone of a label with hardly any probability: its ratio comes from two normalisers
  if (loss.name == "dkd" && loss.parameters[1] == 0) return 10;
  // the difference of two numbers near 1, where one class has nearly all of the probability
  if (loss.name == "total_variation" && t < 1) return 100;
  // distances from two normalisers, where nothing mends them
  if (loss.name == "adaptive_kl") return 10;
  // log q less its mean, where both are near -log C
  if (loss.name == "student_entropy") return 10 * static_cast<real>(std::max(1.0, t));
  // sums of p^2/q, where q may be 1e-10
  if (loss.name == "alpha_divergence" && loss.parameters[0] < 0 && t < 1) return 10;
  return 1;
}

template <class T>
void check_accuracy(const specimen& loss, real tolerance) {
  for (const auto classes : std::initializer_list<std::size_t>{2, 3, 7, 15, 16, 17, 31, 33, 100, 1000})
    for (const double t : {0.5, 1.0, 4.0, 20.0, 1000.0})
      for (const double apart : {-1.0, 1e-6, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.2}) {
        if (loss.own_temperature && t != 1) continue;
        if (sizeof(T) == 4 && apart > 0 && apart < 1e-5) continue;
        if (classes == 1000 && (t == 0.5 || apart == 1e-3 || apart == 0.02)) continue;
        const auto b = random_batch<T>(3, classes, 7, 2.0, apart);
        const error e = errors(loss, b, t);
        INFO(loss.title() << ", C = " << classes << ", T = " << t << ", apart " << apart << ": value " << e.value
                          << ", gradient " << e.gradient);
        CHECK(e.value <= tolerance * allowance(loss, t));
        CHECK(e.gradient <= tolerance * allowance(loss, t));
      }
}

/// Where one class has nearly all of the probability, values and gradients are tiny differences of numbers near 1:
/// they are right to a few ulps of those.
template <class T>
void check_saturated(const specimen& loss) {
  const real ulp = std::numeric_limits<T>::epsilon();
  for (const auto classes : std::initializer_list<std::size_t>{2, 17, 100})
    for (const double t : {1e-3, 0.01, 0.1})
      for (const double apart : {-1.0, 1e-3, 0.1}) {
        if (loss.own_temperature) continue;
        if (loss.name == "alpha_divergence" && (loss.parameters[0] < 0 || loss.parameters[0] > 1)) continue;  // p/q
        const auto b = random_batch<T>(3, classes, 11, 2.0, apart);
        const auto got = loss(b, t);
        for (std::size_t r = 0; r < b.samples; ++r) {
          const auto expected = loss.expected(b, r, t);
          const auto widest = static_cast<real>(12 / t);  // of s/T
          INFO(loss.title() << ", C = " << classes << ", T = " << t << ", apart " << apart << ", row " << r);
          CHECK(std::fabs(static_cast<real>(got.values[r]) - expected.value) <=
                1e-5L * expected.value + 4 * ulp * widest);
          real off = 0;
          for (std::size_t i = 0; i < classes; ++i)
            off = std::max(off, std::fabs(static_cast<real>(got.gradient[r * classes + i]) - expected.gradient[i]));
          CHECK(off * static_cast<real>(t) <= 8 * ulp * widest);
        }
      }
}

}  // namespace

// What the library promises in float; in double, what its cumulants leave where student and teacher are close.
#define LIMBECK_ACCURACY(part, in_double)                                          \
  TEST_CASE("accuracy of " #part " in float") {                                    \
    for (const auto& s : part##_specimens()) check_accuracy<float>(s, 1e-5L);      \
  }                                                                                \
  TEST_CASE("accuracy of " #part " in double") {                                   \
    for (const auto& s : part##_specimens()) check_accuracy<double>(s, in_double); \
  }
LIMBECK_ACCURACY(label, 1e-12L)
LIMBECK_ACCURACY(kl, 1e-12L)
LIMBECK_ACCURACY(mixture, 1e-12L)
LIMBECK_ACCURACY(other, 1e-12L)
LIMBECK_ACCURACY(decoupled, 5e-12L)
LIMBECK_ACCURACY(bernoulli, 1e-12L)
LIMBECK_ACCURACY(regression, 1e-12L)
LIMBECK_ACCURACY(ranked, 1e-6L)  // differences, down to 1e-9, of probabilities that are taken as they are, in double

TEST_CASE("saturated rows in float") {
  for (const auto& s : all_specimens()) check_saturated<float>(s);
}
TEST_CASE("saturated rows in double") {
  for (const auto& s : all_specimens()) check_saturated<double>(s);
}
