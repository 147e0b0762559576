// Gradients of distribution matching against quadrature: data and generated samples are mixtures of Gaussians, whose scores at every
// level are known, so that what is expected over times, noise and latents is an integral that has a derivative.
#include "catch.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/features.hpp>

#include <array>
#include <cmath>
#include <vector>

namespace lk = limbeck;

namespace {
const lk::gaussian_mixture three({-2, 0.5, 3}, 1, 0.4, {1, 2, 1});

/// Points and weights of an integral against the normal density: the trapezoid's error falls faster than any power of its step.
struct normal_grid {
  std::vector<double> at, weight;
  explicit normal_grid(double step, double end = 6.5) {
    for (double z = -end; z <= end + step / 2; z += step)
      at.push_back(z), weight.push_back(step * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi));
  }
};
/// KL(p || q) of mixtures of one dimension at a level.
double divergence(const lk::gaussian_mixture& p, const lk::gaussian_mixture& q, const lk::noise_level& of_p, const lk::noise_level& of_q) {
  double sum = 0;
  const double step = 0.02;
  for (double x = -14; x < 14; x += step) {
    const double here[] = {x}, l = p.log_density(here, of_p);
    if (l > -60) sum += step * std::exp(l) * (l - q.log_density(here, of_q));
  }
  return sum;
}
double divergence(const lk::gaussian_mixture& p, const lk::gaussian_mixture& q, const lk::noise_level& at) { return divergence(p, q, at, at); }
/// x = m +- d + c z, by the parameters m, d and c.
using parameters = std::array<double, 3>;
lk::gaussian_mixture generated(const parameters& o) { return lk::gaussian_mixture({o[0] - o[1], o[0] + o[1]}, 1, o[2]); }
/// f's derivative by parameter @p k.
template <class F>
double derivative(const parameters& o, std::size_t k, const F& f) {
  parameters up = o, down = o;
  up[k] += 1e-4, down[k] -= 1e-4;
  return (f(up) - f(down)) / 2e-4;
}
lk::rows<const double> column(const std::vector<double>& v) { return {v.data(), v.size(), 1}; }
}  // namespace

TEST_CASE("matching: with the weight of KL, the expected gradient is the derivative of the integral of KL over times", "[diffusion]") {
  const lk::rectified path;
  const parameters o{0.3, 0.8, 0.6};
  const auto fake_mixture = generated(o);
  const std::vector<double> times{0.15, 0.4, 0.65, 0.9};
  const normal_grid grid(0.3);
  std::vector<double> x, e, t, weight, dx[3];
  for (const double time : times)
    for (const double side : {-1.0, 1.0})
      for (std::size_t i = 0; i < grid.at.size(); ++i)
        for (std::size_t j = 0; j < grid.at.size(); ++j) {
          x.push_back(o[0] + side * o[1] + o[2] * grid.at[i]), e.push_back(grid.at[j]), t.push_back(time);
          weight.push_back(0.5 * grid.weight[i] * grid.weight[j] / static_cast<double>(times.size()));
          dx[0].push_back(1), dx[1].push_back(side), dx[2].push_back(grid.at[i]);
        }
  std::vector<double> x_t(x.size()), g(x.size());
  const auto at = lk::levels(path, t);
  lk::fill(lk::noised(column(x), column(e), at), lk::rows<double>(x_t.data(), x.size(), 1));
  const lk::predicts_velocity kind;
  auto real = lk::exact_denoiser<double>(three, path, kind), fake = lk::exact_denoiser<double>(fake_mixture, path, kind);
  const auto r = real(column(x_t), t), f = fake(column(x_t), t);
  // as a user calls it: the quadrature's weights are weights of rows
  const lk::objective loss{lk::specified_gradient{}};
  loss(column(x), lk::variational_score(kind, r, f, at, lk::kl_weight{}), lk::row_weights(weight), lk::mean_over(1),
       lk::into(lk::rows<double>(g.data(), x.size(), 1)));
  for (std::size_t k = 0; k < 3; ++k) {
    double got = 0;
    for (std::size_t i = 0; i < x.size(); ++i) got += g[i] * dx[k][i];
    const double want = derivative(o, k, [&](const parameters& p) {
      double sum = 0;
      for (const double time : times) sum += divergence(generated(p), three, path.level(time)) / static_cast<double>(times.size());
      return sum;
    });
    CHECK(std::abs(want) > 0.02);
    CHECK(got == Approx(want).epsilon(1e-5));
  }
}

TEST_CASE("matching: the same in two dimensions, of noise on a path that preserves variance", "[diffusion]") {
  const lk::gaussian_mixture data({-1, 0.5, 1.5, -0.5, 0.5, 1.5}, 2, 0.5);
  const lk::variance_preserving path;
  const double time = 0.35, m[] = {0.4, -0.2}, c = 0.7;
  const lk::noise_level level = path.level(time);
  const lk::gaussian_mixture made({m[0], m[1]}, 2, c);
  const normal_grid grid(0.85, 5.1);
  std::vector<double> x, e, weight, z;
  for (std::size_t i = 0; i < grid.at.size(); ++i)
    for (std::size_t j = 0; j < grid.at.size(); ++j)
      for (std::size_t k = 0; k < grid.at.size(); ++k)
        for (std::size_t l = 0; l < grid.at.size(); ++l) {
          z.insert(z.end(), {grid.at[i], grid.at[j]}), e.insert(e.end(), {grid.at[k], grid.at[l]});
          x.insert(x.end(), {m[0] + c * grid.at[i], m[1] + c * grid.at[j]});
          weight.push_back(grid.weight[i] * grid.weight[j] * grid.weight[k] * grid.weight[l]);
        }
  const std::size_t n = weight.size();
  const auto two = [n](const std::vector<double>& v) { return lk::rows<const double>(v.data(), n, 2); };
  std::vector<double> x_t(2 * n), g(2 * n), t(n, time);
  const auto at = lk::levels(path, time);
  lk::fill(lk::noised(two(x), two(e), at), lk::rows<double>(x_t.data(), n, 2));
  const lk::predicts_noise kind;
  auto real = lk::exact_denoiser<double>(data, path, kind), fake = lk::exact_denoiser<double>(made, path, kind);
  lk::fill(lk::variational_score(kind, real(two(x_t), t), fake(two(x_t), t), at, lk::kl_weight{}), lk::rows<double>(g.data(), n, 2));
  const auto integral = [&](double first, double second, double scale) {  // of KL, over x_t
    const lk::gaussian_mixture p({first, second}, 2, scale);
    const normal_grid fine(0.3);
    const double deviation = std::sqrt(level.signal * level.signal * scale * scale + level.noise * level.noise);
    double sum = 0;
    for (std::size_t i = 0; i < fine.at.size(); ++i)
      for (std::size_t j = 0; j < fine.at.size(); ++j) {
        const double here[] = {level.signal * first + deviation * fine.at[i], level.signal * second + deviation * fine.at[j]};
        sum += fine.weight[i] * fine.weight[j] * (p.log_density(here, level) - data.log_density(here, level));
      }
    return sum;
  };
  double got[3] = {0, 0, 0};
  for (std::size_t i = 0; i < n; ++i) {
    got[0] += weight[i] * g[2 * i], got[1] += weight[i] * g[2 * i + 1];
    got[2] += weight[i] * (g[2 * i] * z[2 * i] + g[2 * i + 1] * z[2 * i + 1]);
  }
  const double h = 1e-4;
  CHECK(got[0] == Approx((integral(m[0] + h, m[1], c) - integral(m[0] - h, m[1], c)) / (2 * h)).epsilon(1e-4));
  CHECK(got[1] == Approx((integral(m[0], m[1] + h, c) - integral(m[0], m[1] - h, c)) / (2 * h)).epsilon(1e-4));
  CHECK(got[2] == Approx((integral(m[0], m[1], c + h) - integral(m[0], m[1], c - h)) / (2 * h)).epsilon(1e-4));
}

TEST_CASE("score distillation: the expected gradient of a sample is that of KL of its noised self from the data", "[diffusion]") {
  const lk::rectified path;
  const double time = 0.45;
  const lk::noise_level level = path.level(time);
  const normal_grid grid(0.2);
  auto teacher = lk::exact_denoiser<double>(three, path, lk::predicts_noise{});
  const std::vector<double> t(grid.at.size(), time);
  for (const double x : {-2.5, -0.4, 1.6}) {
    const auto cross = [&](double y) {  // KL of N(a y, s^2) from the noised data, up to the entropy, which does not move
      double sum = 0;
      for (std::size_t i = 0; i < grid.at.size(); ++i) {
        const double here[] = {level.signal * y + level.noise * grid.at[i]};
        sum -= grid.weight[i] * three.log_density(here, level);
      }
      return sum;
    };
    std::vector<double> x_t, g(grid.at.size());
    for (const double e : grid.at) x_t.push_back(level.signal * x + level.noise * e);
    lk::fill(lk::score_distillation(teacher(column(x_t), t), column(grid.at), lk::levels(path, time), lk::kl_weight{}),
             lk::rows<double>(g.data(), g.size(), 1));
    double got = 0;
    for (std::size_t i = 0; i < g.size(); ++i) got += grid.weight[i] * g[i];
    CHECK(got == Approx((cross(x + 1e-4) - cross(x - 1e-4)) / 2e-4).epsilon(1e-6));
  }
}

TEST_CASE("phased: its target has the mean of the noise of data, the target of a clean sample has not", "[diffusion]") {
  const lk::gaussian_mixture toy({-1, 0, 1, 2}, 1, 0);  // the paper's, whose samples are four points
  const lk::rectified path;
  const double s = 0.4;
  const lk::noise_level from = path.level(s);
  const auto check = [&](const auto& kind, double t, double x_t) {
    // the mean over x_s given x_t: its density times that of the noise between
    const lk::noise_level to = path.level(t);
    const double r = to.signal / from.signal, v = std::sqrt(to.noise * to.noise - r * r * from.noise * from.noise);
    std::vector<double> x_s, z, weight;
    double total = 0;
    for (double x = -5; x < 6; x += 0.01) {
      const double here[] = {x}, e = (x_t - r * x) / v;
      x_s.push_back(x), z.push_back(e), weight.push_back(std::exp(toy.log_density(here, from) - e * e / 2));
      total += weight.back();
    }
    const auto later = lk::levels(path, t);
    std::vector<double> ours(x_s.size()), biased(x_s.size());
    lk::fill(lk::phased_target(kind, column(x_s), column(z), lk::levels(path, s), later), lk::rows<double>(ours.data(), ours.size(), 1));
    lk::fill(lk::denoising_target(kind, column(x_s), column(z), later), lk::rows<double>(biased.data(), ours.size(), 1));
    double mean_of_ours = 0, mean_of_biased = 0;
    for (std::size_t i = 0; i < x_s.size(); ++i)
      mean_of_ours += weight[i] / total * ours[i], mean_of_biased += weight[i] / total * biased[i];
    const std::vector<double> here{x_t}, time{t};
    auto exact = lk::exact_denoiser<double>(toy, path, kind);
    const double want = exact(column(here), time)(0, 0);
    CHECK(mean_of_ours == Approx(want).epsilon(1e-6).margin(1e-7));
    return std::abs(mean_of_biased - want);
  };
  double worst = 0;
  for (const double t : {0.5, 0.7, 0.9})
    for (const double x_t : {-1.1, 0.2, 0.9, 1.7}) {
      check(lk::predicts_noise{}, t, x_t), check(lk::predicts_clean{}, t, x_t);
      worst = std::max(worst, check(lk::predicts_velocity{}, t, x_t));
    }
  CHECK(worst > 0.3);
}

TEST_CASE("phased: the expected gradient of noised samples is the derivative of KL at the later level", "[diffusion]") {
  const lk::rectified path;
  const double s = 0.3, t = 0.7;
  const lk::noise_level from = path.level(s), to = path.level(t);
  const double r = to.signal / from.signal, v = std::sqrt(to.noise * to.noise - r * r * from.noise * from.noise);
  const parameters o{0.2, 0.7, 0.5};  // x_s = m +- d + c z
  const auto made = generated(o);
  const normal_grid grid(0.3);
  std::vector<double> real, fake, weight, dx[3];
  const auto velocity = [&](const lk::gaussian_mixture& m, const lk::noise_level& at, double x) {
    const double here[] = {x};
    double score = 0;
    m.score(here, at, {&score, 1});
    const double e = -to.noise * score;  // what a denoiser at t makes of the score
    return e - (x - to.noise * e) / to.signal;
  };
  for (const double side : {-1.0, 1.0})
    for (std::size_t i = 0; i < grid.at.size(); ++i)
      for (std::size_t j = 0; j < grid.at.size(); ++j) {
        const double x_t = r * (o[0] + side * o[1] + o[2] * grid.at[i]) + v * grid.at[j];
        real.push_back(velocity(three, to, x_t)), fake.push_back(velocity(made, {r, v}, x_t));
        weight.push_back(0.5 * grid.weight[i] * grid.weight[j]);
        dx[0].push_back(1), dx[1].push_back(side), dx[2].push_back(grid.at[i]);
      }
  std::vector<double> g(weight.size());
  lk::fill(lk::phased_matching(lk::predicts_velocity{}, column(real), column(fake), lk::levels(path, s), lk::levels(path, t)),
           lk::rows<double>(g.data(), g.size(), 1));
  for (std::size_t k = 0; k < 3; ++k) {
    double got = 0;
    for (std::size_t i = 0; i < g.size(); ++i) got += weight[i] * g[i] * dx[k][i];
    CHECK(got == Approx(derivative(o, k, [&](const parameters& p) { return divergence(generated(p), three, {r, v}, to); })).epsilon(1e-5));
  }
}
