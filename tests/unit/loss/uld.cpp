// Two distributions rank by rank, against sorted probabilities in long double.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

std::vector<long double> falling(const double* x, std::size_t n, double temperature) {
  std::vector<long double> p;
  long double sum = 0;
  for (std::size_t i = 0; i < n; ++i) p.push_back(std::exp(static_cast<long double>(x[i]) / temperature)), sum += p.back();
  for (auto& v : p) v /= sum;
  std::sort(p.rbegin(), p.rend());
  return p;
}
double definition(const batch<double>& b, double temperature) {
  long double value = 0;
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto p = falling(&b.teacher[r * b.classes], b.classes, temperature);
    const auto q = falling(&b.student[r * b.classes], b.classes, temperature);
    for (std::size_t k = 0; k < b.classes; ++k) value += std::fabs(p[k] - q[k]);
  }
  return static_cast<double>(value);
}
double slope(batch<double> b, std::size_t i, double temperature) {
  const double h = 1e-6, keep = b.student[i];
  b.student[i] = keep + h;
  const double up = definition(b, temperature);
  b.student[i] = keep - h;
  return (up - definition(b, temperature)) / (2 * h);
}
double call(const batch<double>& b, double temperature, std::vector<double>& gradient) {
  gradient.assign(b.size(), 7);
  lk::workspace ws;
  return lk::objective{lk::at_temperature(temperature, lk::unscaled(lk::uld{}))}(
             b.s(), b.t(), lk::into(lk::rows<double>(gradient.data(), b.samples, b.classes)), lk::sum, ws)
      .loss;
}

}  // namespace

TEST_CASE("uld: value and gradient are those of the sorted probabilities") {
  std::vector<double> gradient;
  for (const std::size_t classes : {2u, 5u, 33u})
    for (const double temperature : {0.7, 1.0, 4.0}) {
      auto b = random_batch<double>(3, classes, 5);
      for (std::size_t i = 0; i < 2 && classes > 2; ++i) b.teacher[i] = -infinity<double>;  // a shorter vocabulary
      CHECK(call(b, temperature, gradient) == Approx(definition(b, temperature)).epsilon(1e-12));
      for (std::size_t i = 0; i < b.size(); ++i)
        CHECK(gradient[i] == Approx(slope(b, i, temperature)).epsilon(1e-5).margin(1e-8));
    }
}

TEST_CASE("uld: the order of the classes means nothing, and equal ones share their gradient") {
  std::vector<double> gradient;
  auto b = random_batch<double>(1, 9, 8);
  std::reverse_copy(b.student.begin(), b.student.end(), b.teacher.begin());
  CHECK(call(b, 2, gradient) < 1e-15);
  b = {1, 4, {1, 1, 1, -infinity<double>}, {3, 2, 0, 1}, {0}};
  CHECK(call(b, 1, gradient) == Approx(definition(b, 1)).epsilon(1e-12));
  for (const double g : gradient) CHECK(std::fabs(g) < 1e-15);  // by symmetry
  b = {1, 3, {2, 0, 0}, {0, 0, 0}, {0}};  // sum |1/3 - q|: 2 (q_0 - 1/3)
  const double q = 1 / (1 + 2 * std::exp(-2.0));
  CHECK(call(b, 1, gradient) == Approx(2 * (q - 1 / 3.0)).epsilon(1e-12));
  CHECK(gradient[0] == Approx(2 * q * (1 - q)).epsilon(1e-12));
  CHECK(gradient[1] == Approx(-q * (1 - q)).epsilon(1e-12));
  CHECK(gradient[2] == gradient[1]);
  b.teacher[1] = std::nan("");
  CHECK_THROWS_AS(call(b, 1, gradient), lk::value_error);
}
