// Noise as data: the same draws for the same step and row, whatever the parts; and what is trained on it.
#include "tiny.hpp"

#include "catch.hpp"

#include <limbeck/driver/alternating.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/trainer/denoising_data.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <numeric>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Message;

lk::draw_request step(std::uint64_t k) { return {.rows = 6, .batch = 6, .step = k, .random = lk::random_stream(8).split(k)}; }
const std::vector<std::size_t> all{0, 1, 2, 3, 4, 5}, first{0, 1}, rest{2, 3, 4, 5}, turned{5, 0};

TEST_CASE("noise data: a row is drawn by the step and its number", "[diffusion][noise_data]") {
  auto timed = lk::noise_with_times<double>({.dimensions = 3, .conditions = {4, 0, 2, 4, 1, 3}}, &tiny::any_time);
  lk::noise_data<double> plain({.dimensions = 3, .rows = 6});
  CHECK(timed.size() == 6);
  timed.prepare(all, step(2));
  plain.prepare(all, step(2));
  const auto whole = timed.batch(all), a = timed.batch(first), b = timed.batch(rest), c = timed.batch(turned);
  const auto z = plain.batch(all);
  const auto joined = [](auto x, const auto& y) {
    x.insert(x.end(), y.begin(), y.end());
    return x;
  };
  CHECK(whole.inputs.values == joined(a.inputs.values, b.inputs.values));
  CHECK(whole.noise == joined(a.noise, b.noise));
  CHECK(whole.times == joined(a.times, b.times));
  CHECK(whole.inputs.conditions == std::vector<int>{4, 0, 2, 4, 1, 3});
  CHECK(c.inputs.values[0] == whole.inputs.values[15]);
  CHECK(c.inputs.conditions == std::vector<int>{3, 4});
  CHECK(z.inputs.values == whole.inputs.values);  // with and without times
  CHECK(whole.noise != whole.inputs.values);
  timed.prepare(all, step(3));
  CHECK(timed.batch(all).inputs.values != whole.inputs.values);
  timed.prepare(all, step(2));
  CHECK(timed.batch(all).inputs.values == whole.inputs.values);
  CHECK_THROWS_MATCHES(lk::noise_data<double>({.dimensions = 0}), lk::value_error,
                       Message("limbeck: dimensions of noise_data is 0, expected at least 1"));
  CHECK_THROWS_MATCHES(lk::noise_data<double>({.rows = 0}), lk::value_error, Message("limbeck: rows of noise_data is 0, expected at least 1"));
}

TEST_CASE("noise data: the draws are normal, and independent of each other", "[diffusion][noise_data]") {
  auto data = lk::noise_with_times<double>({.dimensions = 2, .rows = 20000}, [](lk::random_stream& r) { return r.uniform(); });
  std::vector<std::size_t> rows(20000);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  data.prepare(rows, step(0));
  const auto b = data.batch(rows);
  double mean = 0, square = 0, across = 0, with_noise = 0, with_time = 0;
  const double n = 40000;
  for (std::size_t i = 0; i < b.inputs.values.size(); ++i) {
    const double z = b.inputs.values[i];
    mean += z / n, square += z * z / n, with_noise += z * b.noise[i] / n, with_time += z * (b.times[i / 2] - 0.5) / n;
    if (i % 2 == 0) across += z * b.inputs.values[i + 1] / n;
  }
  struct squared {
    double quantile(double u) const { return u * u; }
  };
  auto by_quantile = lk::noise_with_times<double>({.dimensions = 1, .rows = 20000}, squared{});
  double first_moment = 0;
  for (const double t : by_quantile.batch(rows).times) first_moment += t / 20000;
  CHECK(std::abs(first_moment - 1.0 / 3) < 0.01);
  for (const double x : {mean, square - 1, across, with_noise, with_time}) CHECK(std::abs(x) < 0.03);
}

TEST_CASE("denoising data: x_t is of the drawn samples, times and noise", "[diffusion][noise_data]") {
  auto noise = lk::noise_with_times<double>({.dimensions = 2, .conditions = {1, 0, 1, 0, 1, 0}}, &tiny::any_time);
  std::vector<double> x;
  auto data = lk::denoised_samples(noise, [&](const lk::sample_batch<double>& z) {
    x = z.values;
    for (double& v : x) v = 3 + v;
    return lk::rows<const double>(x.data(), z.size(), 2);
  }, lk::rectified{});
  data.prepare(all, step(1));
  noise.prepare(all, step(1));
  const auto drawn = noise.batch(rest);
  const auto b = data.batch(rest);
  CHECK(b.inputs.conditions == drawn.inputs.conditions);
  CHECK(b.inputs.times == drawn.times);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(b.clean[i] == 3 + drawn.inputs.values[i]);
    CHECK(b.inputs.values[i] == Approx((1 - drawn.times[i / 2]) * b.clean[i] + drawn.times[i / 2] * drawn.noise[i]));
  }
  const auto one_row = [](const lk::sample_batch<double>& z) { return lk::rows<const double>(z.values.data(), 1, 2); };
  auto wrong = lk::denoised_samples(noise, one_row, lk::rectified{});
  CHECK_THROWS_AS(wrong.batch(rest), lk::shape_error);
  auto late = lk::noise_with_times<double>({.dimensions = 2, .rows = 6}, [](lk::random_stream&) { return 1.5; });
  auto beyond = lk::denoised_samples(late, [](const lk::sample_batch<double>& z) { return z.rows(); }, lk::rectified{});
  CHECK_THROWS_MATCHES(beyond.batch(rest), lk::value_error, Message("limbeck: time 0 is 1.5, expected a number from 0 to 1"));
}

/// Latents that have nothing to do with the noise beside them.
struct latents {
  std::vector<double> z{};
  lk::rows<const double> operator()(lk::noise_batch<double>& b) {
    z.clear();
    for (const double t : b.times) z.push_back(t < 0.5 ? -1 : 2);  // times are but two more draws here
    return {z.data(), z.size(), 1};
  }
};

TEST_CASE("noise data: paired with drawn targets, a regression learns their mean and no distribution", "[diffusion][noise_data]") {
  tiny::generator student(0, 1);
  auto noise = lk::noise_with_times<double>({.dimensions = 1, .rows = 512}, [](lk::random_stream& r) { return r.uniform(); });
  lk::trainer{student, latents{}, lk::feature_mse{}, toy::momentum{0.02}}.fit(noise, {.epochs = 40, .batch = 128, .seed = 1});
  CHECK(student.weights[0] == Approx(0.5).margin(0.1));  // the mean of -1 and 2
  CHECK(std::abs(student.weights[1]) < 0.1);             // and none of their deviation, which is 1.5
}

/// The student's sample, noised, as the teacher denoises it.
struct denoised_by {
  tiny::denoiser& teacher;
  std::vector<double> noisy{};
  auto answer(lk::noise_batch<double>& b, const lk::rows<const double>& x) {
    noisy.resize(x.samples);
    lk::fill(lk::noised(x, b.noise_rows(), lk::levels(lk::rectified{}, b.times)), lk::rows<double>(noisy.data(), x.samples, 1));
    return teacher(lk::rows<const double>(noisy.data(), x.samples, 1), b.times);
  }
};

TEST_CASE("alternating: a teacher learns a concept, the student from it, and the teacher from the student's samples", "[diffusion][alternating]") {
  const auto run = [](std::size_t rounds, bool echoes) {
    tiny::generator student(-1, 1);
    tiny::denoiser teacher;
    auto noise = lk::noise_with_times<double>({.dimensions = 1, .rows = 64}, &tiny::any_time);
    std::vector<double> x;
    auto concept_data = lk::denoised_samples(noise, [&](const lk::sample_batch<double>& z) {
      x = z.values;
      for (double& v : x) v = 1 + 0.3 * v;
      return lk::rows<const double>(x.data(), z.size(), 1);
    }, lk::rectified{});
    auto echo_data = lk::denoised_samples(noise, [&](const lk::sample_batch<double>& z) { return student.forward(z); }, lk::rectified{});
    const auto clean = [](lk::denoising_batch<double>& b) { return b.clean_rows(); };
    toy::momentum of_teacher{0.02};  // one for both of its turns
    lk::trainer learns{teacher, clean, lk::feature_mse{}, of_teacher};
    lk::trainer follows{student, denoised_by{teacher}, lk::feature_mse{}, toy::momentum{0.01}};
    if (echoes) {
      lk::alternating({.rounds = rounds, .seed = 2}, lk::turn("concept", learns, concept_data, {.warm_up = 50}), lk::turn("student", follows, noise),
                      lk::turn("echo", learns, echo_data));
    } else {
      lk::alternating({.rounds = rounds, .seed = 2}, lk::turn("concept", learns, concept_data, {.warm_up = 50}), lk::turn("student", follows, noise));
    }
    return std::pair(student.weights, teacher.weights);
  };
  CHECK(run(400, true).first[0] == Approx(1).margin(0.15));
  const auto with = run(1, true), without = run(1, false);
  CHECK(with.first == without.first);    // the student stood before the echo
  CHECK(with.second != without.second);  // which moved the teacher
}

TEST_CASE("alternating: a turn whose data has no rows is refused by its name", "[diffusion][alternating]") {
  tiny::generator student(-1, 1);
  tiny::denoiser teacher;
  struct nothing {
    std::size_t size() const { return 0; }
    lk::noise_batch<double> batch(std::span<const std::size_t>) const { return {}; }
  };
  auto noise = lk::noise_with_times<double>({.dimensions = 1, .rows = 8}, &tiny::any_time);
  const auto follows = [&] { return lk::trainer{student, denoised_by{teacher}, lk::feature_mse{}, toy::momentum{0.01}}; };
  CHECK_THROWS_MATCHES(lk::alternating({}, lk::turn("a", follows(), noise), lk::turn("b", follows(), nothing{})), lk::shape_error,
                       Message("limbeck: the data of turn 'b' has no rows"));
}

}  // namespace
