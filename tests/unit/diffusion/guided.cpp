// Guidance: its combinations, within an interval, as a denoiser, and in one pass.
#include "catch.hpp"

#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/guidance_embedding.hpp>
#include <limbeck/diffusion/guided.hpp>
#include <limbeck/diffusion/times.hpp>
#include <limbeck/loss/logits/mse.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/schedule/schedules.hpp>

#include <cmath>
#include <numbers>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {
constexpr std::size_t samples = 4, columns = 3;
using tensor = std::vector<double>;
tensor numbers(std::uint64_t seed) {
  tensor x(samples * columns);
  lk::draw_noise(lk::random_stream(seed), lk::rows<double>(x.data(), samples, columns));
  return x;
}
lk::rows<const double> seen(const tensor& x) { return {x.data(), samples, columns}; }
lk::rows<double> seen(tensor& x) { return {x.data(), samples, columns}; }
const tensor with = numbers(1), without = numbers(2);
const auto c = seen(with), u = seen(without);

template <class Formula, class W>
void check(const Formula& formula, const W& w, double at = 0) {
  tensor out(with.size());
  lk::fill(formula, seen(out), lk::progress(at));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const long double scale = w(i / columns), a = with[i], b = without[i];
    CHECK(out[i] == Approx(static_cast<double>(b + scale * (a - b))).epsilon(1e-12).margin(1e-13));
  }
}
}  // namespace

TEST_CASE("diffusion: guidance by a number, a schedule and a vector, in both conventions", "[diffusion]") {
  const std::vector<float> scales{0, 1, 7.5F, -2};
  for (const double w : {0.0, 1.0, 7.5}) {
    check(lk::guided(c, u, w), [&](std::size_t) { return w; });
    check(lk::guided_from_conditional(c, u, w), [&](std::size_t) { return w + 1; });
  }
  check(lk::guided(c, u, 3), [](std::size_t) { return 3.0; });
  check(lk::guided(c, u, lk::linear(1, 5)), [](std::size_t) { return 2.0; }, 0.25);
  check(lk::guided_from_conditional(c, u, lk::piecewise({{0, 0.0}, {0.5, 4.0}})), [](std::size_t) { return 3.0; }, 0.25);
  check(lk::guided(c, u, scales), [&](std::size_t r) { return static_cast<double>(scales[r]); });
  check(lk::guided_from_conditional(c, u, scales), [&](std::size_t r) { return static_cast<double>(scales[r]) + 1; });
  tensor out(with.size());
  lk::fill(lk::guided(c, u, 1), seen(out));
  CHECK(out == with);
  lk::fill(lk::guided(c, u, 0), seen(out));
  CHECK(out == without);
}

TEST_CASE("diffusion: guidance within an interval of times", "[diffusion]") {
  const tensor times{0.2, 0.3, 0.6, 0.8};
  const auto at = lk::levels(lk::rectified{}, times);
  const auto want = [](double w) { return [w](std::size_t r) { return r == 1 || r == 2 ? w : 1.0; }; };
  check(lk::guided(c, u, 4, at, {.low = 0.2, .high = 0.6}), want(4));
  check(lk::guided(c, u, lk::linear(1, 5), at, {.low = 0.2, .high = 0.6}), want(3), 0.5);
  const lk::guidance_interval all;
  CHECK((all.holds(1) && !all.holds(0)));
  const tensor few{0.5};
  CHECK_THROWS_AS(lk::guided(c, u, 4, lk::levels(lk::rectified{}, few), all), lk::shape_error);
}

TEST_CASE("diffusion: the score of guided predictions is that of the tilted density", "[diffusion]") {
  // N(1, 1) and N(0, 1): p_c^w p_u^(1 - w) is N(w, 1), and its score at level (a, s) w a/(a^2 + s^2) further
  const lk::gaussian_mixture conditional({1}, 1, 1), unconditional({0}, 1, 1);
  const lk::rectified path;
  const double x[] = {0.3, -1, 2}, times[] = {0.2, 0.5, 0.9};
  const lk::rows<const double> noisy(x, 3, 1);
  auto model = lk::guided_denoiser<double>(lk::exact_denoiser<double>(conditional, path, lk::predicts_score{}),
                                           lk::exact_denoiser<double>(unconditional, path, lk::predicts_score{}), {.scale = 3});
  const auto got = model(noisy, times);
  for (std::size_t r = 0; r < 3; ++r) {
    const auto at = path.level(times[r]);
    CHECK(got(r, 0) == Approx((3 * at.signal - x[r]) / (at.signal * at.signal + at.noise * at.noise)));
  }
}

TEST_CASE("diffusion: a guided denoiser asks no more than it must, also of one network", "[diffusion]") {
  tensor answer(with.size());  // both answers are in one place
  int asked_c = 0, asked_u = 0;
  const auto network = [&](const tensor& says, int& asked) {
    return [&](const lk::rows<const double>&, std::span<const double>) {
      ++asked, answer = says;
      return seen(std::as_const(answer));
    };
  };
  auto model = lk::guided_denoiser<double>(network(with, asked_c), network(without, asked_u), {.scale = 4, .interval = {0.2, 0.6}});
  const tensor x = numbers(5), mixed{0.2, 0.3, 0.6, 0.8}, late(4, 0.9);
  auto got = model(seen(x), mixed);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double w = i / columns == 1 || i / columns == 2 ? 4 : 1;
    CHECK(got(i / columns, i % columns) == Approx(without[i] + w * (with[i] - without[i])).epsilon(1e-12));
  }
  got = model(seen(x), late);
  CHECK((asked_c == 2 && asked_u == 1));
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(got(i / columns, i % columns) == with[i]);
  CHECK_THROWS_WITH(lk::guided_denoiser<double>(network(with, asked_c), network(with, asked_c), {.scale = INFINITY}),
                    Contains("scale of guided_denoiser is inf"));
}

TEST_CASE("diffusion: guidance is distilled into one pass: a scale a row, weights, masks and micro-batches", "[diffusion]") {
  tensor scales(samples), g(with.size()), part(with.size());
  lk::draw_times(lk::uniform_times{2, 8}, lk::random_stream(7), scales);
  const tensor prediction = numbers(3), weights{1, 0, 2, 0.5};
  const auto student = seen(prediction);
  const lk::objective distil{lk::mse{}};
  const double value = distil(student, lk::guided_from_conditional(c, u, scales), lk::row_weights(weights), lk::into(seen(g)));
  long double want = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const std::size_t r = i / columns;
    const long double teacher = with[i] + static_cast<long double>(scales[r]) * (with[i] - without[i]), d = prediction[i] - teacher;
    want += static_cast<long double>(weights[r]) * d * d / (columns * 3.5L);
    CHECK(g[i] == Approx(static_cast<double>(2 * static_cast<long double>(weights[r]) * d / (columns * 3.5L))).epsilon(1e-11).margin(1e-13));
  }
  CHECK(value == Approx(static_cast<double>(want)));
  double sum = 0;
  for (std::size_t first = 0; first < samples; first += 2) {
    const auto piece = [&](const tensor& x) { return lk::rows<const double>(x.data() + first * columns, 2, columns); };
    const std::span<const double> w(scales.data() + first, 2), of(weights.data() + first, 2);
    const auto pc = piece(with), pu = piece(without), ps = piece(prediction);
    sum += distil(ps, lk::guided_from_conditional(pc, pu, w), lk::row_weights(of), lk::mean_over(3.5),
                  lk::into(lk::rows<double>(part.data() + first * columns, 2, columns)));
  }
  CHECK(sum == Approx(value).epsilon(1e-12));
  for (std::size_t i = 0; i < g.size(); ++i) CHECK(part[i] == Approx(g[i]).epsilon(1e-12).margin(1e-15));
  scales[2] = NAN;
  CHECK_THROWS_WITH(distil(student, lk::guided(c, u, scales), lk::into(seen(g))), Contains("row 2"));
}

TEST_CASE("diffusion: the embedding of a scale and of the difference between two texts", "[diffusion]") {
  const tensor z = numbers(6);
  tensor out(z.size());
  const auto embedding = seen(z);
  for (const double divisor : {1.0, 256.0}) {
    lk::fill(lk::guidance_embedding(embedding, c, u, {.divisor = divisor}), seen(out));
    for (std::size_t i = 0; i < z.size(); ++i) CHECK(out[i] == Approx(z[i] + with[i] * without[i] / divisor).epsilon(1e-13));
  }
  const lk::rows<const double> narrow(z.data(), samples, columns - 1);
  CHECK_THROWS_AS(lk::guidance_embedding(embedding, c, narrow), lk::shape_error);
  CHECK_THROWS_WITH(lk::guidance_embedding(embedding, c, u, {.divisor = 0}), Contains("divisor of guidance_embedding is 0"));
}

TEST_CASE("diffusion: guidance refuses scales that are none", "[diffusion]") {
  CHECK_THROWS_WITH(lk::guided(c, u, INFINITY), Contains("w of guided is inf"));
  CHECK_THROWS_WITH(lk::guided_from_conditional(c, u, NAN), Contains("w of guided_from_conditional is nan"));
  const tensor few(3, 1.0);
  CHECK_THROWS_AS(lk::guided(c, u, few), lk::shape_error);
  const lk::rows<const double> narrow(without.data(), samples, columns - 1);
  CHECK_THROWS_AS(lk::guided(c, narrow, 2), lk::shape_error);
}
