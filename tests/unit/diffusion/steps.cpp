// Steps of samplers against what they are made of, in long double.
#include "catch.hpp"

#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/steps.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {
constexpr std::size_t samples = 5, columns = 3;

std::vector<double> numbers(std::uint64_t seed) {
  std::vector<double> x(samples * columns);
  lk::draw_noise(lk::random_stream(seed), lk::rows<double>(x.data(), samples, columns));
  return x;
}
lk::rows<const double> seen(const std::vector<double>& x) { return {x.data(), samples, columns}; }
lk::rows<double> seen(std::vector<double>& x) { return {x.data(), samples, columns}; }

/// x_t and the prediction of a kind, of clean samples and noise that are known.
template <class Path, class Kind>
struct known {
  std::vector<double> x = numbers(1), e = numbers(2), noisy = x, prediction = x;
  known(const Path& path, const Kind& kind, const std::vector<double>& times) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double t = times[i / columns];
      const auto at = path.level(t);
      const auto form = kind.form(at, path.slope(t));
      noisy[i] = at.signal * x[i] + at.noise * e[i];
      prediction[i] = form.clean * x[i] + form.noise * e[i];
    }
  }
};

/// The step of every eta, where clean sample and noise are known: its three parts.
template <class Path, class Kind>
void check_ddim(const Path& path, const Kind& kind, const std::vector<double>& from, const std::vector<double>& to) {
  const known<Path, Kind> k(path, kind, from);
  const auto z = numbers(3);
  const auto p = seen(k.prediction), x_t = seen(k.noisy), new_noise = seen(z);
  const auto at = lk::levels(path, from), there = lk::levels(path, to);
  std::vector<double> out(samples * columns);
  for (const double eta : {0.0, 0.3, 1.0, 4.0}) {
    lk::fill(lk::ddim(kind, p, x_t, at, there, new_noise, {.eta = eta}), seen(out));
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto l = path.level(from[i / columns]), m = path.level(to[i / columns]);
      const long double a = l.signal, s = l.noise, b = m.signal, r = m.noise;
      long double v = s > 0 && b > 0 ? static_cast<long double>(eta) * (r / s) * std::sqrt(s * s - a * a / (b * b) * r * r) : 0.0L;
      v = v > r ? r : v;
      CHECK(out[i] == Approx(static_cast<double>(b * k.x[i] + std::sqrt(r * r - v * v) * k.e[i] + v * z[i])).epsilon(1e-9).margin(1e-10));
    }
  }
  const auto stochastic = [&] {
    lk::fill(lk::ddim(kind, p, x_t, at, there, new_noise, {.eta = 0}), seen(out));
    return out;
  }();
  lk::fill(lk::ddim(kind, p, x_t, at, there), seen(out));
  CHECK(out == stochastic);
}
}  // namespace

TEST_CASE("diffusion: ddim's step has its three parts for every eta, on every path", "[diffusion]") {
  check_ddim(lk::variance_preserving{}, lk::predicts_noise{}, {0.9, 0.5, 0.3, 1, 0.1}, {0.5, 0.4, 0.01, 0.5, 0.02});
  check_ddim(lk::edm{}, lk::predicts_f{}, {80, 2, 0.5, 1, 0.1}, {3, 1.5, 0.01, 0, 0.05});
  check_ddim(lk::rectified{}, lk::predicts_velocity{}, {1, 0.9, 0.5, 0.3, 0.1}, {0.7, 0.3, 0.4, 0, 0.05});
  check_ddim(lk::trigonometric{0.5}, lk::predicts_clean{}, {1.5, 1.2, 0.5, 0.3, 0.1}, {0.7, 0.3, 0.4, 0, 0.05});
}

TEST_CASE("diffusion: on a path that preserves variance ddim's new noise is the paper's", "[diffusion]") {
  const lk::variance_preserving path;
  for (const double t : {0.2, 0.6, 1.0})
    for (const double share : {0.1, 0.5, 0.99}) {
      const auto l = path.level(t), m = path.level(t * share);
      const double a = l.signal * l.signal, b = m.signal * m.signal;  // of the paper, whose alpha is the square
      const double sigma = 0.7 * std::sqrt((1 - b) / (1 - a)) * std::sqrt(1 - a / b);
      CHECK(lk::detail::new_noise(0.7, l, m) == Approx(sigma).epsilon(1e-9));
    }
  // and where variance grows, the ancestral step of k-diffusion: up = eta to sqrt((from^2 - to^2))/from, down^2 + up^2 = to^2
  CHECK(lk::detail::new_noise(1, {1, 5}, {1, 3}) == Approx(3 * std::sqrt(25.0 - 9) / 5));
  CHECK(lk::detail::new_noise(1, {0, 1}, {0.4, 0.6}) == 0.6);  // of pure noise nothing is kept
  CHECK(lk::detail::new_noise(1, {0.5, 0.5}, {1, 0}) == 0);
  CHECK(lk::detail::new_noise(1, {0.3, 0.7}, {0.3, 0.7}) == 0);
}

TEST_CASE("diffusion: noise on noised samples is the noise of one draw", "[diffusion]") {
  const auto x = numbers(1), e = numbers(2), z = numbers(3);
  const std::vector<double> from{0, 0.2, 0.5, 0.5, 1}, to{0.7, 0.3, 1, 0.5, 1};
  const auto check = [&](const auto& path) {
    const auto at = lk::levels(path, from), there = lk::levels(path, to);
    std::vector<double> x_t(samples * columns), out = x_t;
    const auto clean = seen(x), first = seen(e), second = seen(z);
    lk::fill(lk::noised(clean, first, at), seen(x_t));
    const auto noisy = seen(std::as_const(x_t));
    lk::fill(lk::renoised(noisy, second, at, there), seen(out));
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto l = path.level(from[i / columns]), m = path.level(to[i / columns]);
      const double kept = l.signal == m.signal ? 1 : m.signal / l.signal;
      const double variance = m.noise * m.noise - kept * kept * l.noise * l.noise;  // of the new noise; together that of one draw
      CHECK(out[i] == Approx(kept * x_t[i] + std::sqrt(variance < 1e-15 ? 0 : variance) * z[i]).margin(1e-12));
    }
  };
  check(lk::rectified{}), check(lk::variance_preserving{}), check(lk::edm{}), check(lk::trigonometric{});
}

TEST_CASE("diffusion: euler follows the path's slope, which on straight paths is ddim; heun takes the mean of two", "[diffusion]") {
  const std::vector<double> from{0.9, 0.7, 0.5, 0.3, 0.1}, to{0.7, 0.3, 0.4, 0, 0.05};
  const auto check = [&](const auto& path, bool straight) {
    const lk::predicts_noise kind;
    const known<std::remove_cvref_t<decltype(path)>, lk::predicts_noise> k(path, kind, from);
    const auto p = seen(k.prediction), x_t = seen(k.noisy);
    const auto at = lk::levels(path, from), there = lk::levels(path, to);
    std::vector<double> moved(samples * columns), other = moved;
    lk::fill(lk::euler(kind, p, x_t, at, there), seen(moved));
    lk::fill(lk::ddim(kind, p, x_t, at, there), seen(other));
    for (std::size_t i = 0; i < moved.size(); ++i) {
      const double t = from[i / columns], h = to[i / columns] - t;
      const auto slope = path.slope(t);
      CHECK(moved[i] == Approx(k.noisy[i] + h * (slope.signal * k.x[i] + slope.noise * k.e[i])).margin(1e-12));
      if (straight) CHECK(moved[i] == Approx(other[i]).margin(1e-12));
    }
    const std::vector<double> up{0.95, 0.8, 0.6, 0.4, 0.2};
    const auto q = numbers(4);  // a prediction there, of other clean samples
    const auto further = lk::levels(path, up);
    lk::fill(lk::euler(kind, p, x_t, at, further), seen(moved));
    const auto arrived = seen(std::as_const(moved)), second = seen(q);
    lk::fill(lk::heun(kind, p, x_t, at, further, second, arrived), seen(other));
    for (std::size_t i = 0; i < moved.size(); ++i) {
      const double t = from[i / columns], u = up[i / columns];
      const auto a = path.slope(t), b = path.slope(u), l = path.level(u);
      const double clean = (moved[i] - l.noise * q[i]) / l.signal;
      const double mean_slope = 0.5 * (a.signal * k.x[i] + a.noise * k.e[i] + b.signal * clean + b.noise * q[i]);
      CHECK(other[i] == Approx(k.noisy[i] + (u - t) * mean_slope).epsilon(1e-9).margin(1e-12));
    }
  };
  check(lk::rectified{}, true), check(lk::edm{}, true), check(lk::variance_preserving{}, false), check(lk::trigonometric{0.5}, false);
}

TEST_CASE("diffusion: a step that cannot be is not finite or says why", "[diffusion]") {
  const auto x = numbers(1), z = numbers(2);
  const auto p = seen(x), n = seen(z);
  std::vector<double> out(samples * columns);
  const lk::rectified path;
  CHECK_THROWS_AS(lk::ddim(lk::predicts_noise{}, p, n, lk::levels(path, 0.5), lk::levels(path, 0.4), n, {.eta = -1}), lk::value_error);
  CHECK_THROWS_WITH(lk::ddim(lk::predicts_noise{}, p, n, lk::levels(path, 0.5), lk::levels(path, 0.4), n, {.eta = NAN}),
                    Catch::Matchers::Contains("eta of ddim is nan"));
  const lk::rows<const double> narrow(x.data(), samples, columns - 1);
  CHECK_THROWS_AS(lk::ddim(lk::predicts_noise{}, narrow, n, lk::levels(path, 0.5), lk::levels(path, 0.4)), lk::shape_error);
  const std::vector<double> four(4, 0.5);
  CHECK_THROWS_AS(lk::ddim(lk::predicts_noise{}, p, n, lk::levels(path, 0.5), lk::levels(path, four)), lk::shape_error);
  lk::fill(lk::ddim(lk::predicts_noise{}, p, n, lk::levels(path, 0.4), lk::levels(path, 0.5), n), seen(out));
  CHECK(std::isnan(out[0]));  // eta = 1 towards noise
  lk::fill(lk::renoised(p, n, lk::levels(path, 0.5), lk::levels(path, 0.4)), seen(out));
  CHECK(std::isnan(out[0]));
  lk::fill(lk::ddim(lk::predicts_noise{}, p, n, lk::levels(path, 0.4), lk::levels(path, 0.5)), seen(out));
  CHECK(std::isfinite(out[0]));  // the inversion
}

TEST_CASE("diffusion: noise depends on the place of a row alone", "[diffusion]") {
  std::vector<float> whole(40), parts(40);
  lk::draw_noise(lk::random_stream(7), lk::rows<float>(whole.data(), 10, 4));
  lk::draw_noise(lk::random_stream(7), lk::rows<float>(parts.data(), 3, 4));
  lk::draw_noise(lk::random_stream(7), lk::rows<float>(parts.data() + 12, 7, 4), 3);
  CHECK(whole == parts);
  CHECK(whole[0] != whole[4]);
}
