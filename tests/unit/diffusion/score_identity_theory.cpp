// What score identity distillation is about, by quadrature: the data is a mixture of Gaussians, the generator moves and stretches
// another, so both denoisers are exact and the Fisher divergence of noised samples from noised data is an integral.
#include "catch.hpp"

#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/score_identity.hpp>
#include <limbeck/limbeck.hpp>

#include <cmath>
#include <vector>

namespace lk = limbeck;

namespace {

const lk::gaussian_mixture data({-1.5, 0.4, 2}, 1, 0.4, {1, 2, 1});
const lk::gaussian_mixture base({-1, 1.2}, 1, 0.5, {2, 1});

/// x = move + stretch u, u of the base.
struct generator {
  double move = 0.2, stretch = 0.8;
  double operator()(double u) const { return move + stretch * u; }
  lk::gaussian_mixture law() const {
    return lk::gaussian_mixture({move - stretch, move + 1.2 * stretch}, 1, 0.5 * stretch, {2, 1});
  }
};

double clean(const lk::gaussian_mixture& of, double noisy, const lk::noise_level& at) {
  double out = 0;
  of.clean({&noisy, 1}, at, {&out, 1});
  return out;
}
double slope(const lk::gaussian_mixture& of, double noisy, const lk::noise_level& at) {
  return (clean(of, noisy + 1e-5, at) - clean(of, noisy - 1e-5, at)) / 2e-5;
}

/// A point (u, e) with its share of the integral over both.
struct node {
  double u, e, share;
};
std::vector<node> nodes() {
  std::vector<node> all;
  for (double u = -4; u < 4.5; u += 0.125)
    for (double e = -7; e < 7.1; e += 0.35) {
      const double at[] = {u};
      all.push_back({u, e, 0.125 * 0.35 * std::exp(base.log_density(at, {1, 0}) - e * e / 2) / std::sqrt(2 * std::numbers::pi)});
    }
  return all;
}
const std::vector<node> grid = nodes();

/// E[w (real - fake)^2] over samples of @p g, with the exact denoiser of @p fake.
double divergence(const generator& g, const lk::gaussian_mixture& fake, const lk::noise_level& at) {
  double total = 0;
  for (const node& n : grid) {
    const double noisy = at.signal * g(n.u) + at.noise * n.e, a = clean(data, noisy, at) - clean(fake, noisy, at);
    total += n.share * at.signal * a * a;
  }
  return total;
}

/// The expected value and the expected gradient by (move, stretch) of score identity distillation, w the signal.
struct expected {
  double value = 0, by_move = 0, by_stretch = 0;
  expected(const generator& g, double t, double alpha) {
    const lk::rectified path;
    const lk::noise_level at = path.level(t);
    const auto law = g.law();
    std::vector<double> x, real, fake, noisy;
    for (const node& n : grid) {
      x.push_back(g(n.u));
      noisy.push_back(at.signal * x.back() + at.noise * n.e);
      real.push_back(clean(data, noisy.back(), at));
      fake.push_back(clean(law, noisy.back(), at));
    }
    const auto view = [&](const std::vector<double>& v) { return lk::rows<const double>(v.data(), v.size(), 1); };
    const auto identity =
        lk::score_identity(view(x), view(real), view(fake), lk::levels(path, t), {.signal = 1}, {.alpha = alpha});
    const auto filled = [&](const auto& formula) {
      std::vector<double> out(x.size());
      lk::fill(formula, lk::rows<double>(out.data(), out.size(), 1));
      return out;
    };
    const auto v = filled(identity), by_x = filled(identity.by_sample()), by_real = filled(identity.by_real()),
               by_fake = filled(identity.by_fake());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double back = by_x[i] + at.signal * (slope(data, noisy[i], at) * by_real[i] + slope(law, noisy[i], at) * by_fake[i]);
      value += grid[i].share * v[i];
      by_move += grid[i].share * back;
      by_stretch += grid[i].share * back * grid[i].u;
    }
  }
};

}  // namespace

TEST_CASE("score identity: with the exact denoiser of the samples the loss is (1 - alpha) times the Fisher divergence",
          "[diffusion]") {
  const generator g;
  for (const double t : {0.3, 0.7}) {
    const double fisher = divergence(g, g.law(), lk::rectified{}.level(t));
    CHECK(fisher > 0.01);
    for (const double alpha : {0.0, 0.5, 1.0, 1.2})
      CHECK(expected(g, t, alpha).value == Approx((1 - alpha) * fisher).epsilon(1e-8).margin(1e-8 * fisher));
  }
}

TEST_CASE("score identity: the gradient is (1 - alpha) of the samples' part of the divergence's and half of the denoiser's",
          "[diffusion]") {
  const generator g;
  constexpr double h = 1e-4;
  for (const double t : {0.3, 0.7}) {
    const lk::noise_level at = lk::rectified{}.level(t);
    const expected half(g, t, 0.5), one(g, t, 1), none(g, t, 0), over(g, t, 1.2);
    const auto check = [&](double generator::*parameter, double expected::*got) {
      generator up = g, down = g;
      up.*parameter += h, down.*parameter -= h;
      const double all = (divergence(up, up.law(), at) - divergence(down, down.law(), at)) / (2 * h);  // the truth
      const double samples = (divergence(up, g.law(), at) - divergence(down, g.law(), at)) / (2 * h);  // its denoiser held fixed
      const double denoiser = all - samples;
      CHECK(std::abs(denoiser) > 0.01 * std::abs(all));
      CHECK(half.*got == Approx(0.5 * all).epsilon(1e-5));
      CHECK(one.*got == Approx(0.5 * denoiser).epsilon(1e-5).margin(1e-6));
      CHECK(none.*got == Approx(samples + 0.5 * denoiser).epsilon(1e-5).margin(1e-6));
      CHECK(over.*got == Approx(-0.2 * samples + 0.5 * denoiser).epsilon(1e-5).margin(1e-6));
    };
    check(&generator::move, &expected::by_move);
    check(&generator::stretch, &expected::by_stretch);
  }
}
