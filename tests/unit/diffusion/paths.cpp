// Tables of alpha-bar, levels of one signal-to-noise ratio, and denoisers on another path.
#include "catch.hpp"

#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/noise_table.hpp>
#include <limbeck/diffusion/on_path.hpp>
#include <limbeck/diffusion/time_at.hpp>

#include <cmath>
#include <numbers>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {
const std::vector<double> ddpm = lk::linear_betas(), stable = lk::scaled_linear_betas(), nichol = lk::cosine_betas();

template <class Path>
void check_slope(const Path& path, std::initializer_list<double> times) {
  for (const double t : times) {
    const double h = 1e-6;
    const auto a = path.level(t - h), b = path.level(t + h), slope = path.slope(t);
    CHECK(slope.signal == Approx((b.signal - a.signal) / (2 * h)).epsilon(1e-5).margin(1e-8));
    CHECK(slope.noise == Approx((b.noise - a.noise) / (2 * h)).epsilon(1e-5).margin(1e-8));
  }
}
}  // namespace

TEST_CASE("diffusion: tables hold what their papers say", "[diffusion]") {
  // by hand: the first, second and last factors
  CHECK(ddpm.size() == 1000);
  CHECK(ddpm[0] == Approx(1 - 1e-4).epsilon(1e-14));
  CHECK(ddpm[1] == Approx((1 - 1e-4) * (1 - 1e-4 - 0.0199 / 999)).epsilon(1e-14));
  CHECK(ddpm[999] / ddpm[998] == Approx(0.98));
  CHECK(stable[0] == Approx(1 - 0.00085).epsilon(1e-14));
  CHECK(stable[999] / stable[998] == Approx(1 - 0.012));
  const double middle = 0.5 * (std::sqrt(0.00085) + std::sqrt(0.012));
  const auto three = lk::scaled_linear_betas(3);
  CHECK(three[1] / three[0] == Approx(1 - middle * middle));
  long double product = 1;  // known beyond the paper: the limits of both tables
  for (std::size_t i = 0; i < 1000; ++i) product *= 1 - (1e-4L + 0.0199L * static_cast<long double>(i) / 999);
  CHECK(ddpm[999] == Approx(static_cast<double>(product)).epsilon(1e-10));
  CHECK(product == Approx(4.0358e-5).epsilon(1e-3));
  CHECK(stable[999] == Approx(0.00466).epsilon(1e-2));
  const auto f = [](double share) {
    const double c = std::cos((share + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  CHECK(nichol[499] == Approx(f(0.5) / f(0)).epsilon(1e-10));  // the products telescope where no beta is cut
  CHECK(nichol[999] / nichol[998] == Approx(0.001));           // and the last is
}

TEST_CASE("diffusion: a table is exact at integers, and its log ratio linear between", "[diffusion]") {
  const lk::noise_table path(stable);
  for (const std::size_t i : {0U, 1U, 500U, 998U, 999U}) {
    const auto at = path.level(static_cast<double>(i));
    CHECK(at.signal == std::sqrt(stable[i]));
    CHECK(at.noise == std::sqrt(1 - stable[i]));
  }
  const auto half = path.level(500.5);
  CHECK(lk::log_snr(half) == Approx(0.5 * (lk::log_snr(path.level(500)) + lk::log_snr(path.level(501)))).epsilon(1e-12));
  CHECK(half.signal * half.signal + half.noise * half.noise == Approx(1).epsilon(1e-14));
  check_slope(path, {0.5, 20.25, 500.5, 998.5});
  const std::vector<float> narrow(stable.begin(), stable.end());
  CHECK(lk::noise_table(narrow).level(7).signal == Approx(std::sqrt(stable[7])).epsilon(1e-6));
  CHECK(path.last() == 999);
  const std::vector<double> late{3, 1000};
  CHECK_THROWS_WITH(lk::levels(path, late), Contains("time 1 is 1000"));
}

TEST_CASE("diffusion: tables that are none are refused by their first fault", "[diffusion]") {
  const std::vector<double> rising{0.9, 0.95}, one{0.9}, ends{0.9, 0.5, 0.0}, full{1.0, 0.5}, nan{0.9, NAN};
  CHECK_THROWS_WITH(lk::noise_table(rising), Contains("alpha_bar[1] is 0.95") && Contains("below 0.9"));
  CHECK_THROWS_AS(lk::noise_table(one), lk::shape_error);
  CHECK_THROWS_WITH(lk::noise_table(ends), Contains("alpha_bar[2] is 0"));
  CHECK_THROWS_WITH(lk::noise_table(full), Contains("alpha_bar[0] is 1"));
  CHECK_THROWS_WITH(lk::noise_table(nan), Contains("alpha_bar[1]"));
  CHECK_THROWS_AS(lk::linear_betas(1), lk::value_error);
  CHECK_THROWS_AS(lk::linear_betas(10, 0.5, 0.1), lk::value_error);
  CHECK_THROWS_AS(lk::scaled_linear_betas(10, 0.5, 1), lk::value_error);
  CHECK_THROWS_AS(lk::cosine_betas(10, 0), lk::value_error);
  CHECK_THROWS_AS(lk::cosine_betas(10, 0.008, 1), lk::value_error);
}

TEST_CASE("diffusion: slopes of paths are derivatives of their levels", "[diffusion]") {
  check_slope(lk::variance_preserving{}, {0.1, 0.5, 0.9});
  check_slope(lk::edm{}, {0.1, 5, 70});
  check_slope(lk::rectified{}, {0.1, 0.5, 0.9});
  check_slope(lk::trigonometric{0.5}, {0.1, 0.8, 1.5});
}

TEST_CASE("diffusion: time_at finds the time of a ratio, on every path from every other", "[diffusion]") {
  const auto check = [](const auto& path, std::initializer_list<double> times) {
    for (const double t : times)
      for (const double by : {1.0, 0.3}) {  // levels that differ by a factor have one ratio
        const auto at = path.level(t);
        CHECK(lk::time_at(path, {by * at.signal, by * at.noise}) == Approx(t).epsilon(1e-9).margin(1e-9));
      }
  };
  check(lk::variance_preserving{}, {1e-3, 0.2, 1});
  check(lk::variance_preserving{.beta_min = 0, .beta_max = 10}, {1e-2, 0.2, 1});
  check(lk::edm{}, {0.002, 1, 80});
  check(lk::rectified{}, {1e-3, 0.4, 1});
  check(lk::trigonometric{0.5}, {1e-3, 0.4, std::numbers::pi / 2});
  check(lk::noise_table(ddpm), {0, 0.5, 17, 400.25, 999});
  CHECK(lk::time_at(lk::variance_preserving{}, {1, 0}) == 0);
  CHECK(lk::time_at(lk::variance_preserving{.beta_min = 0}, {1, 0}) == 0);
  CHECK(lk::time_at(lk::noise_table(ddpm), {1, 0}) == 0);      // the nearer end
  CHECK(lk::time_at(lk::noise_table(ddpm), {0, 1}) == 999);
}

namespace {
const lk::gaussian_mixture three({-2, 0.5, 3, -1, 2, 0.25}, 2, 0.3, {1, 2, 1});

/// The exact denoiser of one path, moved to another, is the exact denoiser there.
template <class From, class Kind, class To, class As>
void check_moved(const From& from, const Kind& kind, const To& to, const As& as, const std::vector<double>& times) {
  auto moved = lk::on_path<double>(from, kind, lk::exact_denoiser<double>(three, from, kind), to, as);
  auto exact = lk::exact_denoiser<double>(three, to, as);
  std::vector<double> x(2 * times.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto at = to.level(times[i / 2]);
    x[i] = at.signal * 0.7 + at.noise * (i % 3 == 0 ? 1.1 : -0.4);
  }
  const lk::rows<const double> noisy(x.data(), times.size(), 2);
  const auto got = moved(noisy, times);
  const auto want = exact(noisy, times);
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(got(i / 2, i % 2) == Approx(want(i / 2, i % 2)).epsilon(1e-7).margin(1e-8));
}
}  // namespace

TEST_CASE("diffusion: the exact denoiser of a path, on another one, is the exact denoiser there", "[diffusion]") {
  const std::vector<double> times{0.9, 0.5, 0.05};
  check_moved(lk::rectified{}, lk::predicts_velocity{}, lk::trigonometric{}, lk::predicts_velocity{}, {1.5, 0.7, 0.05});
  check_moved(lk::rectified{}, lk::predicts_velocity{}, lk::trigonometric{0.5}, lk::predicts_f{0.5}, {1.5, 0.7, 0.05});
  check_moved(lk::edm{}, lk::predicts_f{}, lk::variance_preserving{}, lk::predicts_noise{}, times);
  check_moved(lk::variance_preserving{}, lk::predicts_score{}, lk::rectified{}, lk::predicts_clean{}, times);
  const std::vector<double> table = lk::linear_betas(10, 0.01, 0.5);
  check_moved(lk::noise_table(table), lk::predicts_v{}, lk::edm{}, lk::predicts_clean{}, {3, 0.7, 0.2});
}

TEST_CASE("diffusion: trigflow_of is SANA-Sprint's formula, at pure noise too", "[diffusion]") {
  const std::vector<double> times{std::numbers::pi / 2, 1.2, 0.4, 0.01};
  const std::vector<double> x{0.3, -0.8, 0.2, 1.4, -0.6, 0.1, 0.9, -0.2};
  const lk::rows<const double> noisy(x.data(), 4, 2);
  for (const double d : {1.0, 0.5}) {
    auto flow = lk::exact_denoiser<double>(three, lk::rectified{}, lk::predicts_velocity{});
    auto moved = lk::trigflow_of<double>(flow, d);
    const auto got = moved(noisy, times);
    for (std::size_t r = 0; r < 4; ++r) {
      const double sine = std::sin(times[r]), cosine = std::cos(times[r]), s = sine / (sine + cosine), k = 1 / std::sqrt(s * s + (1 - s) * (1 - s));
      const double y[] = {x[2 * r] / d / k, x[2 * r + 1] / d / k}, at[] = {s};
      const auto v = flow(lk::rows<const double>(y, 1, 2), at);
      for (std::size_t c = 0; c < 2; ++c)
        CHECK(got(r, c) == Approx(d * k * ((1 - 2 * s) * y[c] + (1 - 2 * s + 2 * s * s) * v(0, c))).epsilon(1e-9).margin(1e-10));
    }
    // and of data in its units: the mixture times d on the trigonometric path of deviation d
    std::vector<double> means;
    for (std::size_t k = 0; k < 3; ++k)
      for (const double m : three.mean_of(k)) means.push_back(d * m);
    const lk::gaussian_mixture scaled(means, 2, d * 0.3, {1, 2, 1});
    auto exact = lk::exact_denoiser<double>(scaled, lk::trigonometric{d}, lk::predicts_velocity{});
    const auto want = exact(noisy, times);
    for (std::size_t i = 0; i < 8; ++i) CHECK(got(i / 2, i % 2) == Approx(want(i / 2, i % 2)).epsilon(1e-8).margin(1e-9));
  }
}

TEST_CASE("diffusion: on_path says which row has a time that is none", "[diffusion]") {
  auto flow = lk::exact_denoiser<double>(three, lk::edm{.highest = 3}, lk::predicts_clean{});
  auto moved = lk::on_path<double>(lk::edm{.highest = 3}, lk::predicts_clean{}, flow, lk::rectified{}, lk::predicts_velocity{});
  const std::vector<double> x(4, 0.1), far{0.5, 0.9}, none{0.5, 1.5}, one{0.5};
  const lk::rows<const double> noisy(x.data(), 2, 2);
  CHECK_THROWS_WITH(moved(noisy, far), Contains("the time of row 1 on the denoiser's path is 9"));
  CHECK_THROWS_WITH(moved(noisy, none), Contains("time 1 is 1.5"));
  CHECK_THROWS_AS(moved(noisy, one), lk::shape_error);
  CHECK_THROWS_WITH(lk::on_path<double>(lk::edm{}, lk::predicts_clean{}, flow, lk::edm{}, lk::predicts_clean{}, {.scale = 0}),
                    Contains("scale of on_path is 0"));
}
