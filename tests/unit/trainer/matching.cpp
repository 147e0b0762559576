// A one-step generator in the trainer: its teacher answers samples with the gradient of distribution matching.
#include "catch.hpp"
#include "stops.hpp"
#include "toy.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/features.hpp>
#include <limbeck/trainer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace lk = limbeck;

namespace {
constexpr std::size_t dimensions = 2;

/// Latents, times and noise of a step, each row by its place: micro-batches get what the whole batch gets.
struct latents {
  struct drawn {
    std::vector<double> inputs{}, noise{}, times{};
    std::vector<double> row_mask{}, row_weights{};
  };
  bool broken = false, weighed = false;  // every fourth row is masked and has NaN for noise; the weights of rows differ
  std::size_t rows = 24;
  lk::random_stream random{0};
  std::size_t size() const { return rows; }
  void prepare(std::span<const std::size_t>, const lk::draw_request& request) { random = request.of_the_run.split(request.step); }
  drawn batch(std::span<const std::size_t> which) const {
    drawn b;
    for (const std::size_t r : which) {
      lk::random_stream mine = random.split(r);
      for (std::size_t j = 0; j < dimensions; ++j) b.inputs.push_back(mine.normal());
      const bool out = broken && r % 4 == 3;
      for (std::size_t j = 0; j < dimensions; ++j) b.noise.push_back(out ? std::numeric_limits<double>::quiet_NaN() : mine.normal());
      b.times.push_back(0.1 + 0.8 * mine.uniform());
      b.row_mask.push_back(out ? 0 : 1);
      b.row_weights.push_back(weighed ? 0.5 + static_cast<double>(r % 3) : 1);
    }
    return b;
  }
};

/// x = m + c z.
struct generator {
  std::vector<double> at{-1.0, 1.0, 1.5}, slope{0, 0, 0}, z{}, x{};
  lk::rows<const double> forward(const std::vector<double>& inputs) {
    z = inputs, x.resize(z.size());
    for (std::size_t i = 0; i < z.size(); ++i) x[i] = at[i % dimensions] + at[2] * z[i];
    return {x.data(), x.size() / dimensions, dimensions};
  }
  void backward(lk::rows<const double> g) {
    for (std::size_t i = 0; i < z.size(); ++i) {
      const double d = g(i / dimensions, i % dimensions);
      slope[i % dimensions] += d, slope[2] += d * z[i];
    }
  }
  void zero_gradients() { slope.assign(3, 0); }
  std::vector<std::span<double>> parameters() { return {std::span(at)}; }
};
struct descent {
  double rate;
  void step(generator& g, lk::progress p) const {
    for (std::size_t k = 0; k < 3; ++k) g.at[k] -= rate * (1 - p.fraction()) * g.slope[k];
  }
  template <class Archive>
  void serialize(Archive&) {}
};

const lk::gaussian_mixture data({2.0, 0.5}, dimensions, 0.6);

/// The exact scores of the data and of what the generator gives now: no gradient goes through either.
struct judge {
  const generator* of;
  std::vector<double> noisy{};
  lk::gaussian_mixture made{std::vector<double>(dimensions), dimensions, 1};
  using denoiser = decltype(lk::exact_denoiser<double>(data, lk::rectified{}, lk::predicts_velocity{}));
  denoiser real = lk::exact_denoiser<double>(data, lk::rectified{}, lk::predicts_velocity{});
  std::optional<denoiser> fake{};
  lk::path_levels<lk::rectified> at{};

  explicit judge(const generator& g) : of(&g) {}
  auto answer(const latents::drawn& b, const lk::rows<const double>& x) {
    const lk::rectified path;
    at = lk::levels(path, b.times);
    noisy.resize(b.noise.size());
    const lk::rows<const double> e(b.noise.data(), x.samples, dimensions), x_t(noisy.data(), x.samples, dimensions);
    lk::fill(lk::noised(x, e, at), lk::rows<double>(noisy.data(), x.samples, dimensions));
    made = lk::gaussian_mixture({of->at[0], of->at[1]}, dimensions, std::abs(of->at[2]));
    fake.emplace(lk::exact_denoiser<double>(made, path, lk::predicts_velocity{}));
    return lk::distribution_matching(x, lk::to_clean(lk::predicts_velocity{}, real(x_t, b.times), x_t, at),
                                     lk::to_clean(lk::predicts_velocity{}, (*fake)(x_t, b.times), x_t, at));
  }
};

std::vector<double> trained(latents source, const lk::fit_settings& settings, double rate = 0.5) {
  generator g;
  lk::trainer{g, judge(g), lk::specified_gradient{}, descent{rate}}.fit(source, settings);
  return g.at;
}
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double d = 0;
  for (std::size_t i = 0; i < a.size(); ++i) d = std::max(d, std::abs(a[i] - b[i]));
  return d;
}
}  // namespace

TEST_CASE("matching in the trainer: a generator comes to the data, whose score is all that it is told", "[trainer]") {
  const auto at = trained({.rows = 256}, {.epochs = 200, .batch = 256, .seed = 3}, 1.0);
  CHECK(at[0] == Approx(2.0).margin(0.05));
  CHECK(at[1] == Approx(0.5).margin(0.05));
  CHECK(std::abs(at[2]) == Approx(0.6).margin(0.05));
}

TEST_CASE("matching in the trainer: micro-batches are the whole batch, with masks and weights", "[trainer]") {
  for (const bool broken : {false, true})
    for (const bool weighed : {false, true}) {
      const latents source{.broken = broken, .weighed = weighed};
      const auto whole = trained(source, {.epochs = 6, .batch = 12, .seed = 5});
      CHECK(distance(whole, trained(source, {.epochs = 6, .batch = 12, .micro_batch = 5, .seed = 5})) < 1e-12);
      CHECK(distance(whole, {-1.0, 1.0, 1.5}) > 0.1);
      if (broken || weighed) CHECK(distance(whole, trained({}, {.epochs = 6, .batch = 12, .seed = 5})) > 1e-4);
    }
}

TEST_CASE("matching in the trainer: stopped after any step and resumed, the bits are those of one run", "[trainer]") {
  const auto whole = trained({}, {.epochs = 3, .batch = 12, .micro_batch = 7, .seed = 8});
  for (std::uint64_t stop = 1; stop < 6; ++stop) {
    const toy::temporary file("matching.ckpt");
    const lk::fit_settings settings{.epochs = 3, .batch = 12, .micro_batch = 7, .seed = 8, .checkpoint = file.path, .checkpoint_every = 1};
    latents source;
    generator first;
    CHECK_THROWS_AS((lk::trainer{first, judge(first), lk::specified_gradient{}, descent{0.5}}.fit(source, settings, toy::stops_at{stop})),
                    std::runtime_error);
    CHECK(trained({}, settings) == whole);
  }
}
