// Generators of a few steps: the input of the step that is trained; labels in the place of one that is to be forgotten.
#include "catch.hpp"

#include <limbeck/diffusion/few_step_rollout.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/override_labels.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Message;

namespace {

constexpr std::size_t rows = 5, columns = 2;
const lk::gaussian_mixture mixture({-1, 0, 1, 2, 0.5, -0.5}, 2, 0.4);
using matrix = std::vector<double>;

matrix first_noise() {
  matrix z(rows * columns);
  lk::random_stream random(3);
  for (double& v : z) v = random.normal();
  return z;
}
/// The input of step k, in long double by the definition, with the clean samples of the mixture's exact model.
template <class Path>
matrix defined(const Path& path, const lk::few_step_options& how, std::size_t k, const lk::random_stream& noise) {
  const matrix z = first_noise();
  matrix x(z);
  for (std::size_t r = 0; r < rows; ++r) {
    std::array<double, columns> in{}, d{};
    lk::noise_level was{};
    for (std::size_t i = 0; i < k; ++i) {
      const lk::noise_level at =
          path.level(path.last() * how.start * (1 - static_cast<double>(i) / static_cast<double>(how.steps)));
      lk::random_stream fresh = noise.split(i).split(r);
      for (std::size_t c = 0; c < columns; ++c) {
        const double first = z[r * columns + c];
        const double n = i == 0 || how.noise == lk::step_noise::fixed ? first
                         : how.noise == lk::step_noise::fresh         ? fresh.normal()
                                                                      : (in[c] - was.signal * d[c]) / was.noise;
        in[c] = at.signal * d[c] + at.noise * n;
      }
      was = at;
      mixture.clean(in, at, d);
    }
    for (std::size_t c = 0; c < columns; ++c) x[r * columns + c] = in[c];
  }
  return x;
}

}  // namespace

TEST_CASE("few_step_rollout: the input of step k is the definition's, by every noise and from every kind", "[diffusion]") {
  const lk::random_stream noise(11);
  const auto check = [&](const auto& path, const auto& kind, const lk::few_step_options& how) {
    auto generator = lk::exact_denoiser<double>(mixture, path, kind);
    lk::few_step_rollout rollout(path, kind, how);
    for (std::size_t k = 1; k <= how.steps; ++k) {
      matrix x = first_noise();
      std::size_t calls = 0;
      const auto counted = [&](const lk::rows<const double>& noisy, std::span<const double> times) {
        ++calls;
        return generator(noisy, times);
      };
      const auto times = rollout.run(counted, k, noise, lk::rows<double>(x.data(), rows, columns));
      CHECK(calls == k - 1);
      CHECK(times.size() == rows);
      for (const double t : times)
        CHECK(t == Approx(path.last() * how.start * (1 - static_cast<double>(k - 1) / static_cast<double>(how.steps))));
      const matrix wanted = defined(path, how, k, noise);
      for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == Approx(wanted[i]).epsilon(1e-9).margin(1e-11));
    }
  };
  for (const auto between : {lk::step_noise::fresh, lk::step_noise::fixed, lk::step_noise::ddim}) {
    check(lk::rectified{}, lk::predicts_velocity{}, {.noise = between});
    check(lk::variance_preserving{}, lk::predicts_noise{}, {.steps = 3, .start = 0.625, .noise = between});
  }
}

TEST_CASE("few_step_rollout: one step is the noise alone, and a batch in parts is the batch", "[diffusion]") {
  const lk::rectified path;
  auto generator = lk::exact_denoiser<float>(mixture, path, lk::predicts_clean{});
  const matrix z = first_noise();
  const std::vector<float> narrow(z.begin(), z.end());
  lk::few_step_rollout one(path, lk::predicts_clean{}, {.steps = 1});
  std::vector<float> x = narrow;
  one.run(generator, one.draw(lk::random_stream(4)), lk::random_stream(1), lk::rows<float>(x.data(), rows, columns));
  CHECK(x == narrow);

  lk::few_step_rollout four(path, lk::predicts_clean{});
  four.run(generator, 4, lk::random_stream(1), lk::rows<float>(x.data(), rows, columns));
  std::vector<float> parts = narrow, other = narrow;
  four.run(generator, 4, lk::random_stream(1), lk::rows<float>(parts.data(), 2, columns));
  four.run(generator, 4, lk::random_stream(1), lk::rows<float>(parts.data() + 2 * columns, 3, columns), 2);
  CHECK(parts == x);
  four.run(generator, 4, lk::random_stream(2), lk::rows<float>(other.data(), rows, columns));
  CHECK(other != x);
}

TEST_CASE("few_step_rollout: k is uniform in 1..K, and the stream's", "[diffusion]") {
  const lk::few_step_rollout rollout(lk::rectified{}, lk::predicts_velocity{}, {.steps = 5});
  std::array<int, 6> seen{};
  for (std::uint64_t step = 0; step < 5000; ++step) ++seen[rollout.draw(lk::random_stream(8).split(step))];
  CHECK(seen[0] == 0);
  for (std::size_t k = 1; k <= 5; ++k) CHECK(std::abs(seen[k] - 1000) < 5 * 29);  // five deviations
  CHECK(rollout.draw(lk::random_stream(8)) == rollout.draw(lk::random_stream(8)));
}

TEST_CASE("few_step_rollout: what is wrong is said", "[diffusion]") {
  using rollout = lk::few_step_rollout<lk::rectified, lk::predicts_velocity>;
  CHECK_THROWS_MATCHES(rollout({}, {}, {.steps = 0}), lk::value_error,
                       Message("limbeck: steps of few_step_rollout is 0, expected at least 1"));
  CHECK_THROWS_MATCHES(rollout({}, {}, {.start = 1.5}), lk::value_error,
                       Message("limbeck: start of few_step_rollout is 1.5, expected a number in (0, 1]"));
  matrix x = first_noise();
  const matrix before = x;
  const lk::rows<double> view(x.data(), rows, columns);
  const auto wide = [&](const lk::rows<const double>&, std::span<const double>) {
    return lk::rows<const double>(before.data(), 2, 5);
  };
  rollout four({}, {});
  CHECK_THROWS_MATCHES(four.run(wide, 5, lk::random_stream(1), view), lk::value_error,
                       Message("limbeck: k of few_step_rollout is 5, expected 1 to 4"));
  CHECK_THROWS_AS(four.run(wide, 0, lk::random_stream(1), view), lk::value_error);
  CHECK(x == before);
  CHECK_THROWS_AS(four.run(wide, 2, lk::random_stream(1), view), lk::shape_error);
}

TEST_CASE("few_step_rollout: noise that is predicted of noise alone is refused before a second step", "[diffusion]") {
  lk::few_step_rollout rollout(lk::rectified{}, lk::predicts_noise{}, {.steps = 2});
  matrix x = first_noise();
  const auto same = [](const lk::rows<const double>& noisy, std::span<const double>) { return noisy; };
  CHECK_THROWS_MATCHES(rollout.run(same, 2, lk::random_stream(1), lk::rows<double>(x.data(), rows, columns)), lk::value_error,
                       Message("limbeck: the first step of few_step_rollout is at time 1, where its kind of prediction says nothing of the clean "
                               "sample; let it start below 1"));
  CHECK(x == first_noise());
  CHECK(rollout.run(same, 1, lk::random_stream(1), lk::rows<double>(x.data(), rows, columns)).size() == rows);
  std::vector<unsigned char> small(3);
  CHECK_THROWS_MATCHES(lk::override_labels(1000, 3, lk::random_stream(1), small), lk::value_error,
                       Message("limbeck: the labels of 1000 classes do not fit into the type of out"));
}

TEST_CASE("override_labels: others than the one to forget, uniform, likeliest or drawn", "[diffusion]") {
  std::vector<int> y(8000);
  for (const std::size_t forgotten : {0U, 2U, 3U}) {
    lk::override_labels(4, forgotten, lk::random_stream(5), y);
    std::array<int, 4> seen{};
    for (const int label : y) ++seen[static_cast<std::size_t>(label)];
    for (std::size_t c = 0; c < 4; ++c) CHECK(std::abs(seen[c] - (c == forgotten ? 0 : 8000 / 3)) < (c == forgotten ? 1 : 211));
  }
  std::vector<int> part(3);
  lk::override_labels(4, 3, lk::random_stream(5), part, 100);
  CHECK(part == std::vector<int>(y.begin() + 100, y.begin() + 103));

  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> logits{1, 5, 3, 5, 0, 0, -infinity, infinity, -2};
  std::vector<std::int64_t> best(2);
  lk::override_labels(lk::rows<const float>(logits.data(), 2, 3), 1, best);
  CHECK(best == std::vector<std::int64_t>{2, 0});
  best.assign(3, 7);
  CHECK_THROWS_MATCHES(lk::override_labels(lk::rows<const float>(logits.data(), 3, 3), 0, best), lk::value_error,
                       Message("limbeck: logit 1 of row 2 is inf, expected a finite number or -inf"));
  CHECK(best == std::vector<std::int64_t>(3, 7));
  CHECK_THROWS_MATCHES(lk::override_labels(lk::rows<const float>(logits.data() + 5, 3, 2, 0, 1), 0, best), lk::value_error,
                       Message("limbeck: row 0 of the logits has no class but the forgotten one"));
  CHECK_THROWS_MATCHES(lk::override_labels(4, 4, lk::random_stream(1), y), lk::value_error,
                       Message("limbeck: the label to forget is 4 of 4 classes, expected one of at least 2"));

  // drawn by the softmax of the others
  const std::vector<double> law{std::log(0.2), 9, std::log(0.5), std::log(0.3)};
  const lk::rows<const double> same(law.data(), y.size(), 4, 0, 1);
  lk::override_labels(same, 1, lk::random_stream(6), y);
  std::array<int, 4> seen{};
  for (const int label : y) ++seen[static_cast<std::size_t>(label)];
  const double wanted[] = {0.2, 0, 0.5, 0.3};
  for (std::size_t c = 0; c < 4; ++c)
    CHECK(std::abs(seen[c] - 8000 * wanted[c]) <= 5 * std::sqrt(8000 * wanted[c] * (1 - wanted[c])));
}
