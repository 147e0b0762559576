// Samplers against exact solutions: one Gaussian, whose flow is known, and mixtures.
#include "catch.hpp"

#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/diffusion/reverse_process.hpp>
#include <limbeck/diffusion/time_grid.hpp>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {
const double mean = 0.7, deviation = 0.4;
const lk::gaussian_mixture one({mean}, 1, deviation);

/// x_t of the probability flow from x at a level: it keeps its place in standard deviations.
double flowed(double x, const lk::noise_level& from, const lk::noise_level& to) {
  const auto spread = [](const lk::noise_level& at) { return std::sqrt(at.signal * at.signal * deviation * deviation + at.noise * at.noise); };
  return to.signal * mean + (x - from.signal * mean) * spread(to) / spread(from);
}

/// The error of a sampler over a number of equal steps.
template <class Path, class Step>
double error_of(const Path& path, const Step& step, std::size_t steps, double high, double low) {
  const lk::predicts_clean kind;
  auto sample = lk::reverse_process<double>(path, kind, lk::uniform_grid(steps, high, low), step);
  std::vector<double> x{-0.9, 1.3}, start = x;
  sample(lk::exact_denoiser<double>(one, path, kind), lk::rows<double>(x.data(), 2, 1));
  double worst = 0;
  for (std::size_t i = 0; i < 2; ++i) worst = std::max(worst, std::abs(x[i] - flowed(start[i], path.level(high), path.level(low))));
  return worst;
}
template <class Path, class Step>
double order(const Path& path, const Step& step, double high, double low) {
  return std::log2(error_of(path, step, 64, high, low) / error_of(path, step, 128, high, low));
}
}  // namespace

TEST_CASE("diffusion: Euler and DDIM converge with order 1, Heun with order 2", "[diffusion]") {
  CHECK(order(lk::rectified{}, lk::euler_step{}, 0.95, 0.05) == Approx(1).margin(0.08));
  CHECK(order(lk::rectified{}, lk::heun_step{}, 0.95, 0.05) == Approx(2).margin(0.1));
  CHECK(order(lk::rectified{}, lk::ddim_step{}, 0.95, 0.05) == Approx(1).margin(0.08));
  CHECK(order(lk::trigonometric{}, lk::euler_step{}, 1.5, 0.1) == Approx(1).margin(0.08));
  CHECK(order(lk::trigonometric{}, lk::heun_step{}, 1.5, 0.1) == Approx(2).margin(0.1));
  CHECK(order(lk::variance_preserving{}, lk::heun_step{}, 0.9, 0.2) == Approx(2).margin(0.15));
  CHECK(order(lk::edm{}, lk::churned_heun_step{}, 2, 0.1) == Approx(2).margin(0.1));
  CHECK(error_of(lk::rectified{}, lk::heun_step{}, 128, 0.95, 0.05) < 1e-3);
  CHECK(order(lk::rectified{}, lk::ddim_step{}, 0.05, 0.95) == Approx(1).margin(0.08));  // inversion: towards noise
}

namespace {
/// The variance of samples after many steps, exactly: a step is x -> g x + c + v z, read off by asking it.
template <class Path>
double variance_after(const Path& path, double eta, std::size_t steps, double high, double low) {
  const lk::predicts_noise kind;
  auto denoiser = lk::exact_denoiser<double>(one, path, kind);
  const auto grid = lk::uniform_grid(steps, high, low);
  const auto at_first = path.level(high);
  double variance = at_first.signal * at_first.signal * deviation * deviation + at_first.noise * at_first.noise;
  for (std::size_t i = 0; i < steps; ++i) {
    const double x[] = {0, 1, 0}, z[] = {0, 0, 1}, times[] = {grid[i], grid[i], grid[i]};
    const lk::rows<const double> noisy(x, 3, 1), noise(z, 3, 1);
    const auto p = denoiser(noisy, times);
    double out[3];
    lk::fill(lk::ddim(kind, p, noisy, lk::levels(path, grid[i]), lk::levels(path, grid[i + 1]), noise, {.eta = eta}), lk::rows<double>(out, 3, 1));
    const double gain = out[1] - out[0], fresh = out[2] - out[0];
    variance = gain * gain * variance + fresh * fresh;
  }
  return variance;
}
template <class Path>
void check_variance(const Path& path, double high, double low) {
  const auto last = path.level(low);
  const double exact = last.signal * last.signal * deviation * deviation + last.noise * last.noise;
  for (const double eta : {0.0, 0.5, 1.0, 1.5}) {
    const double coarse = std::abs(variance_after(path, eta, 500, high, low) - exact), fine = std::abs(variance_after(path, eta, 1000, high, low) - exact);
    CHECK(fine < 0.03 * exact);
    CHECK(fine < 0.6 * coarse + 1e-12);
  }
}
}  // namespace

TEST_CASE("diffusion: stochastic steps keep the variance of the path for every eta", "[diffusion]") {
  check_variance(lk::rectified{}, 0.95, 0.05), check_variance(lk::variance_preserving{}, 0.9, 0.05), check_variance(lk::edm{}, 3, 0.05);
}

namespace {
const lk::gaussian_mixture eight({2, 0, -2, 0, 0, 2}, 2, 0.2, {2, 1, 1});
/// Shares of the components and moments of samples are those of the mixture.
template <class Path, class Kind, class Step>
void check_samples(const Path& path, const Kind& kind, std::vector<double> times, const Step& step) {
  constexpr std::size_t n = 1500;
  auto sample = lk::reverse_process<double>(path, kind, std::move(times), step);
  std::vector<double> x(2 * n);
  const lk::rows<double> rows(x.data(), n, 2);
  sample.start(lk::random_stream(1), rows);
  sample(lk::exact_denoiser<double>(eight, path, kind), rows, lk::random_stream(1));
  double share[3] = {}, far = 0;
  for (std::size_t r = 0; r < n; ++r) {
    const std::size_t k = eight.nearest(std::span<const double>(x).subspan(2 * r, 2));
    share[k] += 1.0 / n;
    for (std::size_t j = 0; j < 2; ++j) far += (x[2 * r + j] - eight.mean_of(k)[j]) * (x[2 * r + j] - eight.mean_of(k)[j]) / (2 * n);
  }
  CHECK(share[0] == Approx(0.5).margin(0.05));
  CHECK(share[1] == Approx(0.25).margin(0.045));
  CHECK(std::sqrt(far) == Approx(0.2).epsilon(0.08));
}
}  // namespace

TEST_CASE("diffusion: every sampler makes a mixture's samples", "[diffusion]") {
  check_samples(lk::rectified{}, lk::predicts_velocity{}, lk::uniform_grid(40), lk::heun_step{});
  auto grid = lk::uniform_grid(100);
  for (double& t : grid) t *= t * t;
  check_samples(lk::variance_preserving{}, lk::predicts_noise{}, grid, lk::ddim_step{.eta = 1});
  check_samples(lk::edm{}, lk::predicts_f{}, lk::edm_grid(40), lk::churned_heun_step{.churn = 0.3, .lowest = 0.05, .highest = 50});
}

TEST_CASE("diffusion: few steps are the clean sample and new noise, in turn", "[diffusion]") {
  const lk::rectified path;
  const lk::predicts_clean kind;
  const std::vector<double> times{1, 0.6, 0.3, 0};
  auto sample = lk::reverse_process<double>(path, kind, times, lk::consistency_step{});
  std::vector<double> x(6);
  const lk::rows<double> rows(x.data(), 3, 2);
  sample.start(lk::random_stream(4), rows);
  std::vector<double> want = x, z(6);
  std::vector<double> asked;
  auto denoiser = [&, out = std::vector<double>(6)](const lk::rows<const double>& noisy, std::span<const double> t) mutable {
    asked.push_back(t[0]);
    for (std::size_t i = 0; i < 6; ++i) out[i] = std::tanh(noisy(i / 2, i % 2)) + t[i / 2];
    return lk::rows<const double>(out.data(), 3, 2);
  };
  sample(denoiser, rows, lk::random_stream(4));
  CHECK(asked == std::vector<double>{1, 0.6, 0.3});
  for (std::size_t step = 0; step < 3; ++step) {
    lk::draw_noise(lk::random_stream(4).split(step).split(0), lk::rows<double>(z.data(), 3, 2));
    for (std::size_t i = 0; i < 6; ++i) {
      const double clean = std::tanh(want[i]) + times[step], next = times[step + 1];
      want[i] = (1 - next) * clean + next * z[i];
    }
  }
  for (std::size_t i = 0; i < 6; ++i) CHECK(x[i] == Approx(want[i]).epsilon(1e-12));
}

TEST_CASE("diffusion: a teacher begins, a student ends", "[diffusion]") {
  const lk::rectified path;
  auto teacher = lk::exact_denoiser<double>(eight, path, lk::predicts_velocity{});
  auto student = [out = std::vector<double>()](const lk::rows<const double>& noisy, std::span<const double>) mutable {
    out.assign(noisy.samples * 2, 0.0);
    for (std::size_t r = 0; r < noisy.samples; ++r) {  // jumps to the nearest mean
      const double y[] = {noisy(r, 0), noisy(r, 1)};
      const auto m = eight.mean_of(eight.nearest(std::span<const double>(y)));
      out[2 * r] = m[0], out[2 * r + 1] = m[1];
    }
    return lk::rows<const double>(out.data(), noisy.samples, 2);
  };
  auto of_teacher = lk::reverse_process<double>(path, lk::predicts_velocity{}, lk::uniform_grid(20, 1, 0.5), lk::euler_step{});
  auto of_student = lk::reverse_process<double>(path, lk::predicts_clean{}, {0.1, 0.0}, lk::consistency_step{});
  const std::size_t n = 400;
  std::vector<double> x(2 * n), by_hand;
  const lk::rows<double> rows(x.data(), n, 2);
  of_teacher.start(lk::random_stream(2), rows);
  by_hand = x;
  lk::teacher_guided_sampling(of_teacher, teacher, of_student, student, rows, lk::random_stream(3));
  // by hand: the teacher's steps, its clean samples, noise, the student
  const lk::rows<double> mine(by_hand.data(), n, 2);
  of_teacher(teacher, mine);
  const std::vector<double> half(n, 0.5);
  const auto v = teacher(mine, half);
  std::vector<double> z(2 * n), noisy(2 * n);
  lk::draw_noise(lk::random_stream(3).split(1).split(0).split(0), lk::rows<double>(z.data(), n, 2));
  for (std::size_t i = 0; i < 2 * n; ++i) noisy[i] = 0.9 * (by_hand[i] - 0.5 * v(i / 2, i % 2)) + 0.1 * z[i];
  auto again = student;
  const std::vector<double> late(n, 0.1);
  const auto out = again(lk::rows<const double>(noisy.data(), n, 2), late);
  double share = 0;
  for (std::size_t i = 0; i < 2 * n; ++i) CHECK(x[i] == Approx(out(i / 2, i % 2)).margin(1e-12));
  for (std::size_t r = 0; r < n; ++r) share += (x[2 * r] == 2) / static_cast<double>(n);
  CHECK(share == Approx(0.5).margin(0.08));  // the teacher chose the component
}

TEST_CASE("diffusion: a batch in parts has the samples of the whole, and a second call the same", "[diffusion]") {
  const lk::edm path;
  auto sample = lk::reverse_process<float>(path, lk::predicts_clean{}, lk::edm_grid(6), lk::churned_heun_step{.churn = 0.2});
  auto denoiser = lk::exact_denoiser<float>(eight, path, lk::predicts_clean{});
  const lk::random_stream stream(11);
  std::vector<float> whole(20), parts(20), again(20);
  const auto run = [&](std::vector<float>& x, std::size_t first, std::size_t count) {
    const lk::rows<float> rows(x.data() + 2 * first, count, 2);
    sample.start(stream, rows, first);
    sample(denoiser, rows, stream, first);
  };
  run(whole, 0, 10), run(parts, 0, 3), run(parts, 3, 7), run(again, 0, 10);
  CHECK(whole == parts);
  CHECK(whole == again);
}

TEST_CASE("diffusion: samplers refuse what they cannot take, and leave the samples where something throws", "[diffusion]") {
  const lk::rectified path;
  CHECK_THROWS_AS(lk::reverse_process<double>(path, lk::predicts_clean{}, {1}, lk::ddim_step{}), lk::shape_error);
  CHECK_THROWS_WITH(lk::reverse_process<double>(path, lk::predicts_clean{}, {1, 1.5}, lk::ddim_step{}), Contains("time 1 of a reverse_process is 1.5"));
  std::vector<double> x{1, 2}, before = x;
  int calls = 0;
  auto sample = lk::reverse_process<double>(path, lk::predicts_clean{}, lk::uniform_grid(4), lk::ddim_step{});
  auto denoiser = lk::exact_denoiser<double>(one, path, lk::predicts_clean{});
  const auto stops = [&](const lk::rows<const double>& noisy, std::span<const double> t) {
    if (++calls == 3) throw std::runtime_error("stopped");
    return denoiser(noisy, t);
  };
  CHECK_THROWS_AS(sample(stops, lk::rows<double>(x.data(), 2, 1)), std::runtime_error);
  CHECK(x == before);
  auto bad = lk::reverse_process<double>(path, lk::predicts_clean{}, lk::uniform_grid(4), lk::ddim_step{.eta = -1});
  CHECK_THROWS_WITH(bad(denoiser, lk::rows<double>(x.data(), 2, 1)), Contains("eta of ddim is -1"));
  const auto wide = [out = std::vector<double>(6)](const lk::rows<const double>&, std::span<const double>) {
    return lk::rows<const double>(out.data(), 2, 3);
  };
  CHECK_THROWS_AS(sample(wide, lk::rows<double>(x.data(), 2, 1)), lk::shape_error);
  CHECK(x == before);
}
