// Score identity distillation in the trainer: the student is a generator and two frozen denoisers, three outputs whose gradients
// all reach the generator.
#include "../trainer/stops.hpp"
#include "../trainer/toy.hpp"

#include "catch.hpp"

#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/score_identity.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <cmath>
#include <numeric>
#include <vector>

namespace {

namespace lk = limbeck;
constexpr std::size_t columns = 2;
const lk::gaussian_mixture data({-1.5, 0, 0.5, 1, 2, -1}, columns, 0.4), other({-1, 0.2, 1, 0}, columns, 0.7);
const lk::rectified path;

/// Noise for the generator, noise for its samples and their times: of row r by the stream's part r.
struct draws {
  std::vector<double> z{}, e{}, t{};
};
struct drawn {
  draws inputs;
  std::vector<double> row_weights{};
};
struct source {
  bool weighed = false;
  std::size_t size() const { return 36; }
  drawn batch(std::span<const std::size_t> rows) const {
    drawn b;
    for (const std::size_t r : rows) {
      lk::random_stream random = lk::random_stream(21).split(r);
      for (std::size_t c = 0; c < columns; ++c) b.inputs.z.push_back(random.normal()), b.inputs.e.push_back(random.normal());
      b.inputs.t.push_back(0.1 + 0.8 * random.uniform());
      b.row_weights.push_back(weighed ? static_cast<double>(r % 3) : 1.0);
    }
    return b;
  }
};

/// x = v z + b, and what both denoisers make of it noised. Their Jacobians are symmetric, so a difference along g is the way
/// back.
struct generator {
  std::vector<double> w{0.5, -0.3, 0.8, 0.1}, g = std::vector<double>(4);  // v, b
  draws in;
  std::vector<double> x, noisy, real, fake;
  decltype(lk::exact_denoiser<double>(data, path, lk::predicts_clean{})) teacher =
      lk::exact_denoiser<double>(data, path, lk::predicts_clean{});
  decltype(teacher) of_generated = lk::exact_denoiser<double>(other, path, lk::predicts_clean{});

  lk::rows<const double> view(const std::vector<double>& m) const { return {m.data(), in.t.size(), columns}; }
  auto forward(const draws& inputs) {
    in = inputs;
    x.resize(in.z.size()), noisy.resize(in.z.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const lk::noise_level at = path.level(in.t[i / columns]);
      x[i] = w[i % columns] * in.z[i] + w[columns + i % columns];
      noisy[i] = at.signal * x[i] + at.noise * in.e[i];
    }
    const auto r = teacher(view(noisy), in.t), f = of_generated(view(noisy), in.t);
    real.assign(r.data, r.data + x.size()), fake.assign(f.data, f.data + x.size());
    return lk::outputs{lk::output<"sample">(view(x)), lk::output<"real">(view(real)), lk::output<"fake">(view(fake))};
  }
  template <class Gradients>
  void backward(const Gradients& of) {
    std::vector<double> back(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) back[i] = of.template of<"sample">()(i / columns, i % columns);
    through(data, of.template of<"real">(), back), through(other, of.template of<"fake">(), back);
    for (std::size_t i = 0; i < x.size(); ++i) g[i % columns] += back[i] * in.z[i], g[columns + i % columns] += back[i];
  }
  template <class G>
  void through(const lk::gaussian_mixture& of, const G& gradient, std::vector<double>& back) const {
    for (std::size_t r = 0; r < in.t.size(); ++r) {
      const lk::noise_level at = path.level(in.t[r]);
      double size = 0;
      for (std::size_t c = 0; c < columns; ++c) size += std::abs(gradient(r, c));
      if (size == 0) continue;
      const double h = 1e-5 / size;
      double up[columns], down[columns], a[columns], b[columns];
      for (std::size_t c = 0; c < columns; ++c)
        up[c] = noisy[r * columns + c] + h * gradient(r, c), down[c] = noisy[r * columns + c] - h * gradient(r, c);
      of.clean(up, at, a), of.clean(down, at, b);
      for (std::size_t c = 0; c < columns; ++c) back[r * columns + c] += at.signal * (a[c] - b[c]) / (2 * h);
    }
  }
  void zero_gradients() { g.assign(4, 0); }
  std::vector<std::span<double>> parameters() { return {w}; }
};
struct descent {
  double rate = 0.2;
  void step(generator& m, lk::progress) const {
    for (std::size_t i = 0; i < 4; ++i) m.w[i] -= rate * m.g[i];
  }
  template <class Archive>
  void serialize(Archive&) {}
};

lk::power_weight by_signal() { return {1, 0}; }
/// The three gradients of what the student has just given.
struct judge {
  double alpha = 0.7;
  template <class Outputs>
  auto answer(const drawn& batch, const Outputs& given) const {
    const auto identity =
        lk::score_identity(given.template of<"sample">(), given.template of<"real">(), given.template of<"fake">(),
                           lk::levels(path, batch.inputs.t), by_signal(), {.alpha = alpha});
    return lk::outputs{lk::output<"sample">(identity.by_sample()), lk::output<"real">(identity.by_real()),
                       lk::output<"fake">(identity.by_fake())};
  }
};

constexpr lk::specified_gradient specified;
const auto objective = lk::at<"sample">(specified) + lk::at<"real">(specified) + lk::at<"fake">(specified);

std::vector<double> run(const lk::fit_settings& how, bool weighed = false, std::uint64_t stop = 0) {
  generator student;
  source from{weighed};
  lk::trainer trainer{student, judge{}, objective, descent{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(trainer.fit(from, how, toy::stops_at{stop}), "the machine is gone");
  } else {
    trainer.fit(from, how);
  }
  return student.w;
}

/// The loss of all rows, the mean over weights and elements, with all that a sample goes through.
double loss_of(const std::vector<double>& w, bool weighed) {
  generator student;
  student.w = w;
  std::vector<std::size_t> all(36);
  std::iota(all.begin(), all.end(), std::size_t{0});
  const drawn b = source{weighed}.batch(all);
  student.forward(b.inputs);
  std::vector<double> value(all.size() * columns);
  lk::fill(lk::score_identity(student.view(student.x), student.view(student.real), student.view(student.fake),
                              lk::levels(path, b.inputs.t), by_signal(), {.alpha = 0.7}),
           lk::rows<double>(value.data(), all.size(), columns));
  double total = 0, weight = 0;
  for (std::size_t r = 0; r < all.size(); ++r) {
    weight += b.row_weights[r];
    for (std::size_t c = 0; c < columns; ++c) total += b.row_weights[r] * value[r * columns + c] / columns;
  }
  return total / weight;
}

}  // namespace

TEST_CASE("score identity: a step of the trainer goes down the whole loss's slope, through both denoisers",
          "[diffusion][trainer]") {
  for (const bool weighed : {false, true}) {
    const std::vector<double> start = generator{}.w, after = run({.steps = 1, .batch = 36}, weighed);
    for (std::size_t i = 0; i < 4; ++i) {
      std::vector<double> up = start, down = start;
      up[i] += 1e-4, down[i] -= 1e-4;
      const double slope = (loss_of(up, weighed) - loss_of(down, weighed)) / 2e-4;
      CHECK(std::abs(slope) > 1e-4);
      CHECK((start[i] - after[i]) / 0.2 == Approx(slope).epsilon(1e-5).margin(1e-8));
    }
  }
}

TEST_CASE("score identity: micro-batches are the batch, and a run goes on bit for bit", "[diffusion][trainer][resume]") {
  lk::fit_settings how{.epochs = 3, .batch = 12};
  const std::vector<double> whole = run(how, true);
  how.micro_batch = 5;
  const std::vector<double> parts = run(how, true);
  for (std::size_t i = 0; i < 4; ++i) CHECK(parts[i] == Approx(whole[i]).epsilon(1e-8));
  const toy::temporary file("score_identity.ckpt");
  how.checkpoint = file.path;
  how.checkpoint_every = 1;
  (void)run(how, true, 4);
  CHECK(run(how, true) == parts);
}
