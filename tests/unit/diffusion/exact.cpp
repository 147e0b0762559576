// The mixture of Gaussians, the exact teacher of all tests of diffusion, against quadrature.
#include "catch.hpp"

#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cmath>
#include <vector>

namespace lk = limbeck;

namespace {
const lk::gaussian_mixture three({-2, 0.5, 3}, 1, 0.3, {1, 2, 1});

/// The integral of f(x) times the density of clean samples.
template <class F>
double expected(const F& f) {
  double all = 0;
  const double step = 1e-3;
  for (double x = -6; x < 8; x += step) {
    const double at[] = {x};
    all += step * std::exp(three.log_density(at, {1, 0})) * f(x);
  }
  return all;
}
}  // namespace

TEST_CASE("diffusion: the density, score and clean mean of noised mixtures are those of quadrature", "[diffusion]") {
  CHECK(expected([](double) { return 1.0; }) == Approx(1).epsilon(1e-9));
  for (const lk::noise_level at : {lk::noise_level{1, 0.5}, lk::noise_level{0.6, 0.8}, lk::noise_level{0.05, 1}}) {
    for (const double y : {-3.0, -0.2, 0.7, 2.5}) {
      const auto kernel = [&](double x) {
        const double d = (y - at.signal * x) / at.noise;
        return std::exp(-d * d / 2) / (at.noise * std::sqrt(2 * std::numbers::pi));
      };
      const double density = expected(kernel);
      const double clean = expected([&](double x) { return x * kernel(x); }) / density;
      const double here[] = {y};
      double got = 0;
      CHECK(three.log_density(here, at) == Approx(std::log(density)).epsilon(1e-9));
      three.clean(here, at, {&got, 1});
      CHECK(got == Approx(clean).epsilon(1e-8).margin(1e-9));
      three.score(here, at, {&got, 1});
      CHECK(got == Approx((at.signal * clean - y) / (at.noise * at.noise)).epsilon(1e-7).margin(1e-8));
      const double a[] = {y - 1e-5}, b[] = {y + 1e-5};
      CHECK(got == Approx((three.log_density(b, at) - three.log_density(a, at)) / 2e-5).epsilon(1e-5).margin(1e-6));
    }
  }
}

TEST_CASE("diffusion: samples of a mixture have its moments", "[diffusion]") {
  std::vector<float> x(20000);
  three.sample(lk::random_stream(3), lk::rows<float>(x.data(), x.size(), 1));
  double mean = 0, square = 0;
  for (const float v : x) mean += static_cast<double>(v) / 20000, square += static_cast<double>(v) * static_cast<double>(v) / 20000;
  const double exact = (-2 + 2 * 0.5 + 3) / 4.0, exact_square = (4 + 2 * 0.25 + 9) / 4.0 + 0.09;
  CHECK(std::abs(mean - exact) < 5 * std::sqrt((exact_square - exact * exact) / 20000));
  CHECK(std::abs(square - exact_square) < 0.15);
}

TEST_CASE("diffusion: the exact denoiser predicts what its kind says", "[diffusion]") {
  const lk::rectified path;
  const double x[] = {-1.0, 0.4}, t[] = {0.3, 0.9};
  const lk::rows<const double> noisy(x, 2, 1);
  auto clean = lk::exact_denoiser<double>(three, path, lk::predicts_clean{});
  auto velocity = lk::exact_denoiser<double>(three, path, lk::predicts_velocity{});
  for (std::size_t r = 0; r < 2; ++r) {
    const double c = clean(noisy, t)(r, 0), v = velocity(noisy, t)(r, 0);
    double want = 0;
    three.clean(std::span(x).subspan(r, 1), path.level(t[r]), {&want, 1});
    CHECK(c == Approx(want));
    CHECK(x[r] - t[r] * v == Approx(want));  // x_t - t v
  }
  // where there is no noise the sample is clean, and nothing is divided by it
  const double none[] = {0, 1e-9};
  auto noise = lk::exact_denoiser<double>(three, path, lk::predicts_noise{});
  CHECK(clean(noisy, none)(0, 0) == -1);
  CHECK(std::isfinite(velocity(noisy, none)(0, 0)));
  double score = 0;
  three.score(std::span(x).subspan(1, 1), path.level(1e-9), {&score, 1});
  CHECK(noise(noisy, none)(1, 0) == Approx(-1e-9 * score));
  // the last time of the trigonometric path has no signal, also as a float, which lies behind it
  const lk::trigonometric turned;
  const float last = static_cast<float>(turned.last());
  CHECK(lk::levels(turned, last)(0).signal == 0);
  CHECK(turned.level(turned.last()).signal == 0);
  CHECK(lk::levels(lk::variance_preserving{}, -5e-7)(0).noise == 0);
  CHECK(lk::levels(lk::edm{}, -5e-5)(0).noise == 0);
}
