// Measures of samples: the energy distance against its definition and a closed form, and the modes found.
#include "catch.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/diffusion/measures.hpp>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {
std::vector<float> normals(std::size_t count, std::uint64_t seed, double shift = 0) {
  lk::random_stream random(seed);
  std::vector<float> x(count);
  for (float& v : x) v = static_cast<float>(shift + random.normal());
  return x;
}
template <class F>
std::string fault(const F& f) {
  try {
    f();
  } catch (const lk::value_error& e) {
    return e.what();
  }
  return "none";
}
long double mean_distance(const lk::rows<const float>& x, const lk::rows<const float>& y) {
  long double all = 0;
  for (std::size_t i = 0; i < x.samples; ++i)
    for (std::size_t j = 0; j < y.samples; ++j) {
      long double square = 0;
      for (std::size_t c = 0; c < x.classes; ++c) {
        const long double d = static_cast<long double>(x(i, c)) - static_cast<long double>(y(j, c));
        square += d * d;
      }
      all += std::sqrt(square);
    }
  return all / static_cast<long double>(x.samples * y.samples);
}
}  // namespace

TEST_CASE("diffusion: the energy distance is its definition, in blocks or not", "[diffusion]") {
  for (const std::size_t n : {std::size_t(1), std::size_t(63), std::size_t(64), std::size_t(130)}) {
    const auto a = normals(n * 3, 1), b = normals(70 * 3, 2, 0.5);
    const lk::rows<const float> x(a.data(), n, 3), y(b.data(), 70, 3);
    const auto want = static_cast<double>(2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y));
    CHECK(lk::energy_distance(x, y) == Approx(want).epsilon(1e-12));
    CHECK(lk::energy_distance(y, x) == Approx(want).epsilon(1e-12));
    CHECK(lk::energy_distance(x, x) < 1e-12);
  }
  const float two[] = {0, 3}, one[] = {0, 4};  // a row each: 2 * 1 - 0 - 0
  CHECK(lk::energy_distance(lk::rows<const float>(two, 1, 2), lk::rows<const float>(one, 1, 2)) == Approx(2));
}

TEST_CASE("diffusion: of normals one apart the energy distance is that of their distributions", "[diffusion]") {
  // E|z| of z ~ N(m, 2) is 2/sqrt(pi) exp(-m^2/4) + m erf(m/2)
  const auto a = normals(3000, 3), b = normals(3000, 4, 1);
  const double apart = 2 / std::sqrt(std::numbers::pi) * std::exp(-0.25) + std::erf(0.5), same = 2 / std::sqrt(std::numbers::pi);
  const double bias = same * 2 / 3000;  // pairs of a sample with itself
  CHECK(lk::energy_distance(lk::rows<const float>(a.data(), 3000, 1), lk::rows<const float>(b.data(), 3000, 1)) ==
        Approx(2 * apart - 2 * same + bias).margin(0.03));
}

TEST_CASE("diffusion: modes are found where samples are near", "[diffusion]") {
  const double centres[] = {0, 0, 4, 0, 0, 4};
  const double samples[] = {0.1, 0, 0, -0.3, 4.2, 0, 9, 9, 2, 0};  // two, one, none; one far; one between, near by radius 2 only
  const lk::rows<const double> x(samples, 5, 2), modes(centres, 3, 2);
  const lk::found_modes strict = lk::modes_found(x, modes, 0.5), wide = lk::modes_found(x, modes, 2), twice = lk::modes_found(x, modes, 0.5, 2);
  CHECK(strict.modes == 2);
  CHECK(strict.near == Approx(0.6));
  CHECK(wide.modes == 2);
  CHECK(wide.near == Approx(0.8));
  CHECK(twice.modes == 1);
}

TEST_CASE("diffusion: measures refuse what they cannot measure", "[diffusion]") {
  float bad[] = {1, 2, 3, std::numeric_limits<float>::quiet_NaN()};
  const lk::rows<const float> x(bad, 2, 2), good(bad, 1, 2), narrow(bad, 2, 1), nothing(bad, 0, 2);
  CHECK(fault([&] { lk::energy_distance(good, x); }).find("limbeck: y is nan in row 1, column 1") != std::string::npos);
  CHECK_THROWS_AS(lk::energy_distance(good, narrow), lk::shape_error);
  CHECK_THROWS_AS(lk::energy_distance(nothing, good), lk::shape_error);
  CHECK_THROWS_AS(lk::modes_found(good, narrow, 1), lk::shape_error);
  CHECK(fault([&] { lk::modes_found(good, good, -1); }).find("radius is -1") != std::string::npos);
  CHECK(fault([&] { lk::modes_found(good, good, 1, 0); }).find("least is 0") != std::string::npos);
}
