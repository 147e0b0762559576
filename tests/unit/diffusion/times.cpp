// Distributions of times by their quantiles and moments, and grids.
#include "catch.hpp"

#include <limbeck/diffusion/time_grid.hpp>
#include <limbeck/diffusion/times.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

TEST_CASE("diffusion: the normal's quantile is the inverse of its distribution", "[diffusion]") {
  for (const double z : {-8.0, -5.0, -2.0, -0.7, -1e-3, 0.0, 0.3, 1.0, 4.0}) {
    const double below = 0.5 * std::erfc(-z / std::numbers::sqrt2);
    CHECK(lk::detail::normal_quantile(below) == Approx(z).epsilon(1e-11).margin(1e-14));
  }
  CHECK(lk::detail::normal_quantile(0.975) == Approx(1.959963984540054).epsilon(1e-14));
  CHECK(std::isfinite(lk::detail::normal_quantile(0x1p-54)));
  CHECK(std::isfinite(lk::detail::normal_quantile(1 - 0x1p-53)));
}

namespace {
/// Draws have the mean of the quantile, and a stratified mean is much nearer to it.
template <class S>
void check_moments(const S& distribution, double mean, double square) {
  constexpr std::size_t n = 20000;
  std::vector<double> t(n);
  for (const bool stratified : {false, true}) {
    lk::draw_times(distribution, lk::random_stream(5), t, {.stratified = stratified});
    double first = 0, second = 0;
    for (const double x : t) first += x / n, second += x * x / n;
    const double deviation = std::sqrt(square - mean * mean);
    CHECK(std::abs(first - mean) < (stratified ? 0.05 : 4.0) * deviation / std::sqrt(double(n)) + 1e-3 * deviation * stratified);
    CHECK(std::abs(second - square) < 0.05 * square);
    CHECK(std::is_sorted(t.begin(), t.end()) == stratified);
  }
}
}  // namespace

TEST_CASE("diffusion: drawn times have the moments of their distribution", "[diffusion]") {
  check_moments(lk::uniform_times{0.25, 0.75}, 0.5, 0.25 + 0.25 / 12);
  const double s = 0.6;  // of a log-normal: exp(m + s^2/2), exp(2 m + 2 s^2)
  check_moments(lk::log_normal_times{-1.2, s}, std::exp(-1.2 + s * s / 2), std::exp(-2.4 + 2 * s * s));
  check_moments(lk::discrete_times{20, 980, 20}, 500, 500 * 500 + 400 * (49.0 * 49 - 1) / 12);
  check_moments(lk::listed_times{{249, 499, 749, 999}}, 624, (249 * 249 + 499 * 499 + 749 * 749 + 999 * 999) / 4.0);
  // by quadrature of the density
  double mean = 0, square = 0, angle = 0, angle_square = 0;
  for (double z = -8; z < 8; z += 1e-3) {
    const double density = 1e-3 * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    const double t = 1 / (1 + std::exp(-(0.5 + 1.2 * z))), a = std::atan(std::exp(-1 + 1.4 * z) / 0.5);
    mean += density * t, square += density * t * t, angle += density * a, angle_square += density * a * a;
  }
  check_moments(lk::logit_normal_times{0.5, 1.2}, mean, square);
  check_moments(lk::arctangent_times{}, angle, angle_square);
  // 3 u/(1 + 2 u), whose integral is 3/4 (2 - ln 3)
  double shifted = 0, shifted_square = 0;
  for (int i = 0; i < 100000; ++i) {
    const double u = (i + 0.5) / 100000, t = 3 * u / (1 + 2 * u);
    shifted += t / 100000, shifted_square += t * t / 100000;
  }
  CHECK(shifted == Approx(0.75 * (2 - std::log(3.0))));
  check_moments(lk::shifted_times<lk::uniform_times>{}, shifted, shifted_square);
}

TEST_CASE("diffusion: discrete times take each step alike", "[diffusion]") {
  std::vector<float> t(4000);
  lk::draw_times(lk::discrete_times{0, 9}, lk::random_stream(2), t, {.stratified = true});
  for (int k = 0; k < 10; ++k) CHECK(std::count(t.begin(), t.end(), static_cast<float>(k)) == 400);
  CHECK(lk::discrete_times{3, 10, 4}.quantile(1 - 0x1p-53) == 7);
  CHECK(lk::discrete_times{3, 3}.quantile(0.5) == 3);
  CHECK(lk::listed_times{{0.2, 0.6}}.quantile(0.5) == 0.6);
}

TEST_CASE("diffusion: times within a phase are those of the whole, given the phase", "[diffusion]") {
  const lk::shifted_times<lk::logit_normal_times> whole{.shift = 5};
  const lk::times_within phase(whole, 0.5, 0.75);
  CHECK(phase.quantile(0x1p-50) == Approx(0.5));
  CHECK(phase.quantile(1 - 0x1p-50) == Approx(0.75));
  std::vector<double> all(40000), some(10000);
  lk::draw_times(whole, lk::random_stream(3), all, {.stratified = true});
  lk::draw_times(phase, lk::random_stream(4), some, {.stratified = true});
  double mean = 0, count = 0, mean_of_phase = 0;
  for (const double t : all)
    if (t > 0.5 && t < 0.75) mean += t, ++count;
  for (const double t : some) mean_of_phase += t / 10000;
  CHECK(mean_of_phase == Approx(mean / count).epsilon(1e-3));
  CHECK_THROWS_WITH(lk::times_within(lk::uniform_times{}, 2, 3), Contains("times_within is from 2 to 3"));
  CHECK_THROWS_AS(lk::times_within(lk::uniform_times{}, 0.5, 0.5), lk::value_error);
}

TEST_CASE("diffusion: a batch's times are the same in parts", "[diffusion]") {
  for (const bool stratified : {false, true}) {
    std::vector<double> whole(12), parts(12);
    lk::draw_times(lk::logit_normal_times{}, lk::random_stream(9), whole, {.stratified = stratified});
    for (std::size_t first = 0; first < 12; first += 4)
      lk::draw_times(lk::logit_normal_times{}, lk::random_stream(9), std::span(parts).subspan(first, 4),
                     {.stratified = stratified, .first = first, .of = 12});
    CHECK(whole == parts);
  }
  std::vector<double> t(8);
  CHECK_THROWS_WITH(lk::draw_times(lk::uniform_times{}, lk::random_stream(1), t, {.stratified = true, .first = 5, .of = 12}),
                    Contains("rows 5 to before 13 of a batch of 12"));
}

TEST_CASE("diffusion: shift and sway, and grids", "[diffusion]") {
  CHECK(lk::shift_time(0, 3) == 0);
  CHECK(lk::shift_time(1, 3) == 1);
  CHECK(lk::shift_time(0.5, 3) == 0.75);
  CHECK(lk::shift_time(lk::shift_time(0.3, 3), 1.0 / 3) == Approx(0.3));
  const double t = 0.3, u = lk::shift_time(t, 3);
  CHECK(u / (1 - u) == Approx(3 * t / (1 - t)));  // noise to signal, on the rectified path
  for (const double share : {0.0, 0.25, 0.6, 1.0}) {  // of the paper's time, which is 0 at noise
    const double sway = share - (std::cos(std::numbers::pi * share / 2) - 1 + share);
    CHECK(lk::sway_time(1 - share) == Approx(1 - sway).margin(1e-15));
  }
  CHECK(lk::sway_time(0.4, 0) == 0.4);
  CHECK(lk::uniform_grid(4) == std::vector<double>{1, 0.75, 0.5, 0.25, 0});
  CHECK(lk::uniform_grid(1, 0.9, 0.1) == std::vector<double>{0.9, 0.1});
  const auto grid = lk::edm_grid(18);
  CHECK(grid.size() == 19);
  CHECK(grid[0] == 80);
  CHECK(grid[17] == Approx(0.002));
  CHECK(grid[18] == 0);
  const double high = std::pow(80.0, 1.0 / 7), low = std::pow(0.002, 1.0 / 7);
  CHECK(grid[5] == Approx(std::pow(high + 5.0 / 17 * (low - high), 7)));
  CHECK(lk::edm_grid(1) == std::vector<double>{80, 0});
  CHECK_THROWS_AS(lk::uniform_grid(0), lk::value_error);
  CHECK_THROWS_AS(lk::uniform_grid(3, 1, 1), lk::value_error);
  CHECK_THROWS_AS(lk::uniform_grid(3, NAN), lk::value_error);
  CHECK(lk::uniform_grid(2, 0, 1) == std::vector<double>{0, 0.5, 1});
  CHECK_THROWS_AS(lk::edm_grid(0), lk::value_error);
  CHECK_THROWS_AS(lk::edm_grid(3, {.lowest = 0}), lk::value_error);
  CHECK_THROWS_AS(lk::edm_grid(3, {.rho = -1}), lk::value_error);
}
