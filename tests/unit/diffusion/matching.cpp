// Gradients of distribution matching and its relatives against their definitions, in long double.
#include "catch.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/features.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Message;

namespace {
using number = long double;
constexpr std::size_t samples = 4, columns = 5, all = samples * columns;

/// Four tensors of noise, and times.
struct batch {
  std::vector<double> x = drawn(1), y = drawn(2), p = drawn(3), q = drawn(4), e = drawn(5), g = std::vector<double>(all);
  std::vector<double> t{0.1, 0.35, 0.6, 0.95}, s{0.02, 0.3, 0.4, 0.9};
  static std::vector<double> drawn(std::uint64_t seed) {
    std::vector<double> v(all);
    lk::draw_noise(lk::random_stream(seed), lk::rows<double>(v.data(), samples, columns));
    return v;
  }
};
lk::rows<const double> view(const std::vector<double>& v) { return {v.data(), v.size() / columns, columns}; }
lk::rows<double> view(std::vector<double>& v) { return {v.data(), v.size() / columns, columns}; }
template <class F>
std::vector<double> filled(const F& formula) {
  std::vector<double> out(formula.samples() * formula.classes());
  lk::fill(formula, lk::rows<double>(out.data(), formula.samples(), formula.classes()));
  return out;
}
/// The largest difference from f(row, element).
template <class F>
double off(const std::vector<double>& got, const F& f) {
  number worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<number>(got[i]) - f(i / columns, i)) / (1 + std::abs(f(i / columns, i))));
  return static_cast<double>(worst);
}
template <class P>
number signal(const P& path, double t) {
  return static_cast<number>(path.level(t).signal);
}
template <class P>
number noise(const P& path, double t) {
  return static_cast<number>(path.level(t).noise);
}
}  // namespace

TEST_CASE("distribution matching: the definition, its divisor and its floor", "[diffusion]") {
  batch b;
  const auto mean = [&](std::size_t r) {
    number sum = 0;
    for (std::size_t i = r * columns; i < (r + 1) * columns; ++i) sum += std::abs(static_cast<number>(b.x[i]) - b.p[i]);
    return sum / columns;
  };
  for (const double floor : {0.0, 0.9}) {
    const auto want = [&](std::size_t r, std::size_t i) {
      return (static_cast<number>(b.q[i]) - b.p[i]) / std::max(mean(r), static_cast<number>(floor));
    };
    CHECK(off(filled(lk::distribution_matching(view(b.x), view(b.p), view(b.q), {.floor = floor})), want) < 1e-14);
  }
  CHECK(mean(0) != Approx(0.9));
  for (std::size_t c = 0; c < columns; ++c) b.x[columns + c] = b.p[columns + c];  // row 1: x = real
  const auto g = filled(lk::distribution_matching(view(b.x), view(b.p), view(b.q)));
  for (std::size_t c = 0; c < columns; ++c) CHECK(g[columns + c] == 0);
  CHECK(filled(lk::distribution_matching(view(b.x), view(b.p), view(b.p))) == std::vector<double>(all, 0));
  CHECK_THROWS_MATCHES(lk::distribution_matching(view(b.x), view(b.p), view(b.q), {.floor = -1}), lk::value_error,
                       Message("limbeck: floor of distribution_matching is -1, expected a finite number of at least 0"));
}

TEST_CASE("distribution matching: the loss is 1/2 mse of x and x - g, with x - g held fixed", "[diffusion]") {
  batch b;
  const auto formula = lk::distribution_matching(view(b.x), view(b.p), view(b.q));
  const auto g = filled(formula);
  const lk::objective loss{lk::specified_gradient{}};
  const double value = loss(view(b.x), formula, lk::into(view(b.g))).loss;
  const auto of = [&](const std::vector<double>& x) {  // the paper's surrogate, whose target does not move
    number sum = 0;
    for (std::size_t i = 0; i < all; ++i) {
      const number d = x[i] - (static_cast<number>(b.x[i]) - g[i]);
      sum += d * d / 2;
    }
    return sum / all;
  };
  CHECK(value == Approx(static_cast<double>(of(b.x))).epsilon(1e-13));
  for (std::size_t i = 0; i < all; ++i) {
    auto up = b.x, down = b.x;
    up[i] += 1e-5, down[i] -= 1e-5;
    CHECK(b.g[i] == Approx(static_cast<double>(of(up) - of(down)) / (up[i] - down[i])).epsilon(1e-8).margin(1e-10));
    CHECK(b.g[i] == Approx(g[i] / all).epsilon(1e-13));
  }
}

TEST_CASE("distribution matching: a row that is not finite is named", "[diffusion]") {
  batch b;
  const lk::objective loss{lk::specified_gradient{}};
  const auto at = lk::levels(lk::rectified{}, b.t);
  b.q[2 * columns + 1] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_MATCHES(loss(view(b.x), lk::variational_score(lk::predicts_noise{}, view(b.p), view(b.q), at), lk::into(view(b.g))),
                       lk::value_error, Message("limbeck: teacher is nan at row 2, column 1, expected a finite number"));
  CHECK_THROWS_AS(loss(view(b.x), lk::distribution_matching(view(b.x), view(b.p), view(b.q)), lk::into(view(b.g))), lk::value_error);
  b.q[2 * columns + 1] = 1e200, b.p[2 * columns + 1] = 1e200;  // huge, and equal: 0 to the bit
  const auto g = filled(lk::variational_score(lk::predicts_velocity{}, view(b.p), view(b.q), at));
  CHECK(g[2 * columns + 1] == 0);
  const std::vector<double> short_times{0.1, 0.2};
  CHECK_THROWS_AS(lk::variational_score(lk::predicts_noise{}, view(b.p), view(b.q), lk::levels(lk::rectified{}, short_times)), lk::shape_error);
  const std::vector<double> few(3 * columns);
  CHECK_THROWS_MATCHES(lk::score_distillation(view(b.p), view(few), at), lk::shape_error,
                       Message("limbeck: fake of variational_score has shape 3 x 5, expected 4 x 5 (samples x classes)"));
}

TEST_CASE("variational score: of every kind of prediction it is w times the difference of the noise", "[diffusion]") {
  const batch b;
  const lk::variance_preserving path;
  const auto at = lk::levels(path, b.t);
  const auto check = [&](const auto& kind) {
    const auto mine = filled(lk::variational_score(kind, view(b.p), view(b.q), at, lk::variance_weight{}));
    const auto first = filled(lk::to_noise(kind, view(b.p), view(b.x), at)), second = filled(lk::to_noise(kind, view(b.q), view(b.x), at));
    CHECK(off(mine, [&](std::size_t r, std::size_t i) {
            return noise(path, b.t[r]) * noise(path, b.t[r]) * (static_cast<number>(first[i]) - second[i]);
          }) < 1e-12);
    CHECK(filled(lk::variational_score(kind, view(b.p), view(b.p), at)) == std::vector<double>(all, 0));
  };
  check(lk::predicts_noise{}), check(lk::predicts_clean{}), check(lk::predicts_velocity{}), check(lk::predicts_v{});
  check(lk::predicts_score{}), check(lk::predicts_f{0.7});
}

TEST_CASE("variational score: weights of the level, and one of a function", "[diffusion]") {
  const batch b;
  const lk::rectified path;
  const auto at = lk::levels(path, b.t);
  const auto check = [&](const auto& weight, auto&& w) {
    CHECK(off(filled(lk::variational_score(lk::predicts_noise{}, view(b.p), view(b.q), at, weight)), [&](std::size_t r, std::size_t i) {
            return w(signal(path, b.t[r]), noise(path, b.t[r])) * (static_cast<number>(b.p[i]) - b.q[i]);
          }) < 1e-14);
  };
  check(lk::uniform_weight{}, [](number, number) { return number(1); });
  check(lk::variance_weight{}, [](number, number s) { return s * s; });
  check(lk::kl_weight{}, [](number a, number s) { return a / s; });
  check([](const lk::noise_level& l) { return l.signal * l.noise * l.noise; }, [](number a, number s) { return a * s * s; });
  // noise alone, where a prediction of noise says all
  CHECK(off(filled(lk::variational_score(lk::predicts_noise{}, view(b.p), view(b.q), lk::levels(path, 1))),
            [&](std::size_t, std::size_t i) { return static_cast<number>(b.p[i]) - b.q[i]; }) < 1e-15);
}

TEST_CASE("score distillation: w (predicted - e), and 0 where the noise is known", "[diffusion]") {
  const batch b;
  const lk::variance_preserving path;
  const auto at = lk::levels(path, b.t);
  CHECK(off(filled(lk::score_distillation(view(b.p), view(b.e), at)), [&](std::size_t r, std::size_t i) {
          return noise(path, b.t[r]) * noise(path, b.t[r]) * (static_cast<number>(b.p[i]) - b.e[i]);
        }) < 1e-14);
  CHECK(filled(lk::score_distillation(view(b.e), view(b.e), at)) == std::vector<double>(all, 0));
  // from a prediction of velocity, which is right: 0 up to rounding
  const auto x_t = filled(lk::noised(view(b.x), view(b.e), at)), v = filled(lk::denoising_target(lk::predicts_velocity{}, view(b.x), view(b.e), at));
  CHECK(off(filled(lk::score_distillation(lk::to_noise(lk::predicts_velocity{}, view(v), view(x_t), at), view(b.e), at)),
            [](std::size_t, std::size_t) { return number(0); }) < 1e-12);
}

TEST_CASE("delta score: the difference of two noises under one e, on ResShift's path too", "[diffusion]") {
  const batch b;
  const auto check = [&](const auto& path, const auto& kind) {
    const auto at = lk::levels(path, b.t);
    const auto xt = filled(lk::noised(view(b.x), view(b.e), at)), yt = filled(lk::noised(view(b.y), view(b.e), at));
    const auto first = filled(lk::to_noise(kind, view(b.p), view(xt), at)), second = filled(lk::to_noise(kind, view(b.q), view(yt), at));
    CHECK(off(filled(lk::delta_score(kind, view(b.p), view(b.q), view(b.x), view(b.y), at)),
              [&](std::size_t, std::size_t i) { return static_cast<number>(first[i]) - second[i]; }) < 1e-10);
    CHECK(filled(lk::delta_score(kind, view(b.p), view(b.p), view(b.x), view(b.x), at)) == std::vector<double>(all, 0));
  };
  check(lk::rectified{}, lk::predicts_velocity{}), check(lk::variance_preserving{}, lk::predicts_noise{});
  check(lk::residual_shifting{}, lk::predicts_clean{});

  // TAD-SR: eps(x, z0) = (x - z0 - eta (y - z0))/(kappa sqrt(eta)) of x = z + eta (y - z) + kappa sqrt(eta) e; y cancels
  const lk::residual_shifting path;
  const auto at = lk::levels(path, b.t);
  const auto degraded = batch::drawn(9);
  const auto xs = filled(lk::shifted_noised(view(b.x), view(degraded), view(b.e), at));
  const auto xt = filled(lk::shifted_noised(view(b.y), view(degraded), view(b.e), at));
  const auto eps = [&](const std::vector<double>& x, const std::vector<double>& z, std::size_t r, std::size_t i) {
    const number eta = static_cast<number>(path.eta(b.t[r]));
    return (x[i] - z[i] - eta * (static_cast<number>(degraded[i]) - z[i])) / (2 * std::sqrt(eta));
  };
  CHECK(off(filled(lk::delta_score(lk::predicts_clean{}, view(b.p), view(b.q), view(b.x), view(b.y), at)),
            [&](std::size_t r, std::size_t i) { return eps(xs, b.p, r, i) - eps(xt, b.q, r, i); }) < 1e-12);
}

TEST_CASE("residual shifting: the schedule of ResShift's code, its slope, its samples", "[diffusion]") {
  const lk::residual_shifting path;
  for (std::size_t k = 0; k < 15; ++k) {  // sqrt(eta_k) = start base^((k/14)^power 14), base = (end/start)^(1/14)
    const double u = static_cast<double>(k) / 14, root = 0.02 * std::pow(std::pow(0.99 / 0.02, 1.0 / 14), std::pow(u, 0.3) * 14);
    CHECK(std::sqrt(path.eta(u)) == Approx(root).epsilon(1e-12));
    CHECK(path.level(u).signal == Approx(1 - root * root).epsilon(1e-12));
    CHECK(path.level(u).noise == Approx(2 * root).epsilon(1e-12));
    if (k == 0 || k == 14) continue;
    const auto up = path.level(u + 1e-6), down = path.level(u - 1e-6);
    CHECK(path.slope(u).signal == Approx((up.signal - down.signal) / 2e-6).epsilon(1e-6));
    CHECK(path.slope(u).noise == Approx((up.noise - down.noise) / 2e-6).epsilon(1e-6));
  }
  const batch b;
  CHECK(off(filled(lk::shifted_noised(view(b.x), view(b.y), view(b.e), lk::levels(path, b.t))), [&](std::size_t r, std::size_t i) {
          const number eta = static_cast<number>(path.eta(b.t[r]));
          return b.x[i] + eta * (static_cast<number>(b.y[i]) - b.x[i]) + 2 * std::sqrt(eta) * b.e[i];
        }) < 1e-14);
}

TEST_CASE("phased: target, weights and generator's weight are the paper's, of rectified flow and velocities", "[diffusion]") {
  const batch b;
  const lk::rectified path;
  const auto at = lk::levels(path, b.s), to = lk::levels(path, b.t);
  struct numbers {
    number as, ss, a, s, r, v;
  };
  const auto of = [&](std::size_t r) {
    const number as = signal(path, b.s[r]), ss = noise(path, b.s[r]), a = signal(path, b.t[r]), s = noise(path, b.t[r]);
    return numbers{as, ss, a, s, a / as, std::sqrt(s * s - a * a / (as * as) * ss * ss)};
  };
  CHECK(off(filled(lk::phased_target(lk::predicts_velocity{}, view(b.x), view(b.e), at, to)), [&](std::size_t r, std::size_t i) {
          const auto n = of(r);
          return ((n.as * n.as * n.s + n.a * n.ss * n.ss) / (n.as * n.as) * b.e[i] - n.v / n.as * b.x[i]) / n.v;
        }) < 1e-12);
  CHECK(off(filled(lk::phased_matching(lk::predicts_velocity{}, view(b.p), view(b.q), at, to)), [&](std::size_t r, std::size_t i) {
          const auto n = of(r);
          return n.a * n.r / (n.a * n.s + n.s * n.s) * (static_cast<number>(b.p[i]) - b.q[i]);
        }) < 1e-12);
  std::vector<float> w(samples);
  lk::phased_weights(at, to, w);
  for (std::size_t r = 0; r < samples; ++r) {
    const number v = of(r).v;
    CHECK(w[r] == Approx(static_cast<double>(v * v * std::min(1 / (v * v), number(10)))).epsilon(1e-6));
  }
  CHECK(w[1] < 1);
  CHECK(w[3] == 1);
  // at s = 0 it is the plain target, of other kinds and paths too
  const lk::variance_preserving preserving;
  const auto later = lk::levels(preserving, b.t);
  const auto plain = filled(lk::denoising_target(lk::predicts_v{}, view(b.x), view(b.e), later));
  CHECK(off(filled(lk::phased_target(lk::predicts_v{}, view(b.x), view(b.e), lk::levels(preserving, 0.0), later)),
            [&](std::size_t, std::size_t i) { return static_cast<number>(plain[i]); }) < 1e-12);
  const auto whole = filled(lk::variational_score(lk::predicts_v{}, view(b.p), view(b.q), later, lk::kl_weight{}));
  CHECK(off(filled(lk::phased_matching(lk::predicts_v{}, view(b.p), view(b.q), lk::levels(preserving, 0.0), later)),
            [&](std::size_t, std::size_t i) { return static_cast<number>(whole[i]); }) < 1e-12);

  w.assign(samples, 7);
  CHECK_THROWS_MATCHES(lk::phased_weights(to, at, w), lk::value_error,
                       Message("limbeck: phased_weights goes from time 0.1 to time 0.02 in row 0, expected one of more noise"));
  CHECK(w == std::vector<float>(samples, 7));
  CHECK_THROWS_AS(lk::phased_weights(at, to, w, {.highest = 0}), lk::value_error);
  std::vector<double> g(all);
  CHECK_THROWS_AS(lk::objective{lk::mse{}}(view(b.x), lk::phased_target(lk::predicts_v{}, view(b.x), view(b.e), to, at), lk::into(view(g))),
                  lk::value_error);
}

TEST_CASE("several teachers: a sum of formulas is the sum of their gradients", "[diffusion]") {
  batch b;
  const auto first = lk::distribution_matching(view(b.x), view(b.p), view(b.q));
  const auto second = lk::variational_score(lk::predicts_noise{}, view(b.e), view(b.q), lk::levels(lk::rectified{}, b.t));
  const auto f = filled(first), s = filled(second);
  CHECK(off(filled(first + 0.25 * second), [&](std::size_t, std::size_t i) { return f[i] + number(0.25) * s[i]; }) < 1e-14);
  CHECK(off(filled(2 * first + view(b.y)), [&](std::size_t, std::size_t i) { return number(2) * f[i] + b.y[i]; }) < 1e-14);
  CHECK_THROWS_MATCHES(std::nan("") * first, lk::value_error, Message("limbeck: a formula is multiplied by nan, expected a finite number"));
  const std::vector<double> few(3 * columns);
  CHECK_THROWS_AS(first + view(few), lk::shape_error);
}

TEST_CASE("several teachers: a joint one of views and one of each view, into one gradient", "[diffusion]") {
  constexpr std::size_t prompts = 2, views = 2, width = columns;  // Turbo3D: L = joint + lambda/K sum over views
  batch b;
  const lk::rows<const double> joint(b.x.data(), prompts, views * width), joint_real(b.p.data(), prompts, views * width),
      joint_fake(b.q.data(), prompts, views * width);
  const auto single_real = batch::drawn(11), single_fake = batch::drawn(12);
  const double lambda = 0.8;
  const lk::objective of_joint{lk::specified_gradient{}};
  const lk::objective of_views{lambda / views * lk::specified_gradient{}};
  of_joint(joint, lk::distribution_matching(joint, joint_real, joint_fake), lk::into(lk::rows<double>(b.g.data(), prompts, views * width)));
  of_views(view(b.x), lk::distribution_matching(view(b.x), view(single_real), view(single_fake)), lk::add_to(view(b.g)));
  const auto pushed = [&](std::size_t begin, std::size_t count, const std::vector<double>& real, const std::vector<double>& fake, std::size_t i) {
    number far = 0;
    for (std::size_t k = begin; k < begin + count; ++k) far += std::abs(static_cast<number>(b.x[k]) - real[k]);
    return (static_cast<number>(fake[i]) - real[i]) / (far / static_cast<number>(count));
  };
  CHECK(off(b.g, [&](std::size_t r, std::size_t i) {
          const number of_view = pushed(r * width, width, single_real, single_fake, i);
          return (pushed(r / views * views * width, views * width, b.p, b.q, i) + number(lambda) / views * of_view) / all;
        }) < 1e-14);
}

TEST_CASE("masked elements: the code of DMOSpeech 2", "[diffusion]") {
  batch b;
  std::vector<double> mask{1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
  const double counted = std::accumulate(mask.begin(), mask.end(), 0.0);
  const lk::objective loss{(all / counted) * lk::specified_gradient{}};
  const auto formula = lk::distribution_matching(view(b.x), lk::blended(view(mask), view(b.p), view(b.x)),
                                                 lk::blended(view(mask), view(b.q), view(b.x)));
  const double value = loss(view(b.x), formula, lk::into(view(b.g))).loss;
  number sum = 0;
  CHECK(off(b.g, [&](std::size_t r, std::size_t i) {
          number far = 0;  // over all of a row, of which the masked part is 0
          for (std::size_t k = r * columns; k < (r + 1) * columns; ++k) far += mask[k] * std::abs(static_cast<number>(b.x[k]) - b.p[k]);
          return mask[i] * (static_cast<number>(b.q[i]) - b.p[i]) / (far / columns) / counted;
        }) < 1e-14);
  for (std::size_t i = 0; i < all; ++i) sum += static_cast<number>(b.g[i]) * b.g[i];
  CHECK(value == Approx(static_cast<double>(sum * counted / 2)).epsilon(1e-12));
  for (std::size_t i = 0; i < all; ++i)
    if (mask[i] == 0) CHECK(b.g[i] == 0);

  // masked pixels of score distillation: weights of elements
  const lk::objective pixels{static_cast<double>(columns) * lk::element_weights(view(mask), lk::specified_gradient{})};
  pixels(view(b.x), lk::score_distillation(view(b.p), view(b.e), lk::levels(lk::rectified{}, b.t), lk::uniform_weight{}), lk::into(view(b.g)));
  CHECK(off(b.g, [&](std::size_t, std::size_t i) { return mask[i] * (static_cast<number>(b.p[i]) - b.e[i]) / samples; }) < 1e-14);
}

TEST_CASE("masked rows: the level of noise says which loss, and weights of rows count", "[diffusion]") {
  batch b;
  const auto formula = lk::distribution_matching(view(b.x), view(b.p), view(b.q));
  const auto g = filled(formula);
  const auto high = lk::by_row([&](std::size_t r) { return b.t[r] > 0.5 ? 1.0 : 0.0; }, samples);
  lk::objective{high * lk::specified_gradient{}}(view(b.x), formula, lk::into(view(b.g)));
  CHECK(off(b.g, [&](std::size_t r, std::size_t i) { return r < 2 ? number(0) : static_cast<number>(g[i]) / all; }) < 1e-14);
  const std::vector<double> weights{1, 0, 2, 0.5};
  lk::objective{lk::specified_gradient{}}(view(b.x), formula, lk::row_weights(weights), lk::into(view(b.g)));
  CHECK(off(b.g, [&](std::size_t r, std::size_t i) { return weights[r] * static_cast<number>(g[i]) / (number(3.5) * columns); }) < 1e-14);
}

TEST_CASE("a window of frames: uniform over its places, reproducible, and its gradient alone is written", "[diffusion]") {
  std::vector<std::size_t> seen(4);
  for (std::uint64_t step = 0; step < 4000; ++step) {
    const auto w = lk::draw_window(lk::random_stream(5).split(step), 6, 3);
    CHECK(w.count == 3);
    CHECK(w.first < 4);
    ++seen.at(w.first);
  }
  for (const std::size_t n : seen) CHECK(std::abs(static_cast<double>(n) - 1000) < 5 * std::sqrt(750.0));
  CHECK(lk::draw_window(lk::random_stream(5).split(7), 6, 3).first == lk::draw_window(lk::random_stream(5).split(7), 6, 3).first);
  CHECK(lk::draw_window(lk::random_stream(1), 3, 3).first == 0);  // one teacher's length: the whole
  CHECK_THROWS_MATCHES(lk::draw_window(lk::random_stream(1), 3, 4), lk::shape_error,
                       Message("limbeck: draw_window of 4 frames, expected 1 to the 3 that there are"));
  CHECK_THROWS_AS(lk::draw_window(lk::random_stream(1), 3, 0), lk::shape_error);

  // 4 rollouts of 10 frames of 2 columns, frames 3 to 5; then one rollout of 40 frames
  std::vector<double> x(80), g(80);
  for (std::size_t i = 0; i < 80; ++i) x[i] = static_cast<double>(i);
  const auto real = batch::drawn(1), fake = batch::drawn(2);
  const lk::rows<const double> r(real.data(), 3, 6), f(fake.data(), 3, 6);
  const lk::frame_window w{3, 3};
  const auto part = w.columns(lk::rows<const double>(x.data(), 3, 20), 2);
  CHECK(part.classes == 6);
  CHECK(part(1, 0) == 26);
  const lk::objective loss{lk::specified_gradient{}};
  loss(part, lk::distribution_matching(part, r, f), lk::into(w.columns(lk::rows<double>(g.data(), 3, 20), 2)));
  const auto want = filled(lk::distribution_matching(part, r, f));
  for (std::size_t i = 0; i < 60; ++i) {
    const bool inside = i % 20 >= 6 && i % 20 < 12;
    CHECK(g[i] == (inside ? Approx(want[i / 20 * 6 + i % 20 - 6] / 18).epsilon(1e-13) : Approx(0).margin(0)));
  }
  const auto rows = w.rows_of(lk::rows<const double>(x.data(), 40, 2));
  CHECK(rows.samples == 3);
  CHECK(rows(0, 0) == 6);
  CHECK(rows(2, 1) == 11);
  CHECK_THROWS_MATCHES(w.columns(lk::rows<const double>(x.data(), 8, 10), 2), lk::shape_error,
                       Message("limbeck: a frame_window reaches to columns 12 of a tensor of 10"));
  CHECK_THROWS_AS(w.rows_of(lk::rows<const double>(x.data(), 5, 2)), lk::shape_error);
}

TEST_CASE("matching: predictions of noise and scores hold at a signal of 0, and rows without a distance are not passed on", "[diffusion]") {
  const std::vector<double> a{1, -2, 0.5}, b{0.25, 1, 3}, x{4, 5, 6}, y{1, 1, 2};
  const auto row = [](const std::vector<double>& v) { return lk::rows<const double>(v.data(), 1, 3); };
  const auto at = lk::levels(lk::rectified{}, 1.0);
  std::vector<double> noise(3), delta(3), score(3), by(3);
  lk::fill(lk::variational_score(lk::predicts_noise{}, row(a), row(b), at), lk::rows<double>(noise.data(), 1, 3));
  lk::fill(lk::delta_score(lk::predicts_noise{}, row(a), row(b), row(x), row(y), at), lk::rows<double>(delta.data(), 1, 3));
  lk::fill(lk::variational_score(lk::predicts_score{}, row(a), row(b), at), lk::rows<double>(score.data(), 1, 3));
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(std::abs(noise[i]) == std::abs(a[i] - b[i]));
    CHECK(std::abs(delta[i]) == std::abs(a[i] - b[i]));
    CHECK(score[i] == -noise[i]);  // the noise is -s score
  }
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    const std::vector<double> broken{1, bad, 2};
    lk::fill(lk::distribution_matching(row(broken), row(a), row(b), {.floor = 0.1}), lk::rows<double>(by.data(), 1, 3));
    for (const double v : by) CHECK(v != v);
  }
  CHECK_THROWS_AS((lk::frame_window{static_cast<std::size_t>(-1), 2}.columns(row(x))), lk::shape_error);
}

TEST_CASE("signed step: by hand, never out of its box", "[diffusion]") {
  std::vector<double> x{0.5, 0.2, 0.99, 0.0}, g{-3, 0, 1e-300, -1};
  const std::vector<double> origin = x;
  const lk::rows<double> to(x.data(), 2, 2);
  const lk::rows<const double> from(origin.data(), 2, 2);
  const auto slope = [&] { return lk::rows<const double>(g.data(), 2, 2); };
  lk::signed_step(to, slope(), from, {.step = 0.04, .radius = 0.05});
  CHECK(x == std::vector<double>{0.46, 0.2, 1.0, 0.0});
  for (int i = 0; i < 5; ++i) lk::signed_step(to, slope(), from, {.step = 0.04, .radius = 0.05});
  CHECK(x == std::vector<double>{0.45, 0.2, 1.0, 0.0});
  for (int i = 0; i < 5; ++i) lk::signed_step(to, slope(), from, {.step = -0.04, .radius = 0.05});
  CHECK(x == std::vector<double>{0.55, 0.2, 0.94, 0.05});
  g[2] = std::nan("");
  CHECK_THROWS_MATCHES(lk::signed_step(to, slope(), from), lk::value_error, Message("limbeck: g of signed_step is nan at row 1, column 0"));
  CHECK(x == std::vector<double>{0.55, 0.2, 0.94, 0.05});
  g[2] = 1;
  CHECK_THROWS_AS(lk::signed_step(to, slope(), from, {.radius = -1}), lk::value_error);
  CHECK_THROWS_AS(lk::signed_step(to, slope(), from, {.low = 1, .high = 0}), lk::value_error);
  CHECK_THROWS_AS(lk::signed_step(to, slope(), from, {.step = std::nan("")}), lk::value_error);
  CHECK_THROWS_AS(lk::signed_step(to, lk::rows<const double>(g.data(), 1, 2), from), lk::shape_error);
}
