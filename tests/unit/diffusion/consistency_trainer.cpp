// Consistency distillation in the trainer: the teacher is a segment of an exact one and an average of the student.
#include "../trainer/stops.hpp"
#include "../trainer/toy.hpp"

#include "catch.hpp"

#include <limbeck/averaging/averager.hpp>
#include <limbeck/diffusion/consistency.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/teacher_segment.hpp>
#include <limbeck/loss/features/pseudo_huber.hpp>
#include <limbeck/trainer/averaging.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <cmath>
#include <vector>

namespace {

namespace lk = limbeck;
using tensor = lk::rows<const double>;
using numbers = std::vector<double>;

constexpr double mean = 0.4, deviation = 0.3, d = 0.5;
const lk::gaussian_mixture gaussian({mean}, 1, deviation);
const lk::trigonometric path{d};

/// Noised samples, their times, the times before, and where they stand in the batch.
struct noised_rows {
  numbers x, t, s;
  std::size_t first = 0;
  tensor view() const { return {x.data(), x.size(), 1}; }
};
struct noised_batch {
  noised_rows inputs;
  std::vector<double> row_weights;
};
/// New samples at every step, in the order of the rows: micro-batches see the same.
struct generated {
  lk::random_stream random{7};
  std::size_t size() const { return 64; }
  noised_batch batch(std::span<const std::size_t> rows) {
    noised_batch b;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double step = static_cast<double>(1 + random.below(10)), clean = mean + deviation * random.normal(), z = d * random.normal();
      b.inputs.t.push_back(0.15 * step), b.inputs.s.push_back(0.15 * (step - 1));
      b.inputs.x.push_back(std::cos(0.15 * step) * clean + std::sin(0.15 * step) * z);
      b.row_weights.push_back(1 + 0.1 * step);
    }
    return b;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("random", random);
  }
};

/// v = sum of weights times features of (x, t), f = cos t x - sin t v.
class network {
 public:
  network() : weights_(6), gradients_(6) {}
  tensor sample(const tensor& x, std::span<const double> t) {
    numbers v(x.samples);
    features_.clear(), times_.assign(t.begin(), t.end()), out_.resize(x.samples);
    for (std::size_t r = 0; r < x.samples; ++r) {
      const double s = std::sin(t[r]), c = std::cos(t[r]), a = x(r, 0);
      const double phi[] = {s, c, a * s, a * c, a * s * s, c * s};
      features_.insert(features_.end(), phi, phi + 6);
      for (std::size_t k = 0; k < 6; ++k) v[r] += weights_[k] * phi[k];
    }
    const tensor velocity(v.data(), v.size(), 1);
    lk::fill(lk::consistency_sample(lk::trigonometric_boundary{}, velocity, x, lk::levels(path, times_)), lk::rows<double>(out_.data(), out_.size(), 1));
    return {out_.data(), out_.size(), 1};
  }
  tensor forward(const noised_rows& in) { return sample(in.view(), in.t); }
  void backward(const tensor& g) {
    numbers by(g.samples);
    lk::fill(lk::consistency_slope(lk::trigonometric_boundary{}, g, lk::levels(path, times_)), lk::rows<double>(by.data(), by.size(), 1));
    for (std::size_t r = 0; r < by.size(); ++r)
      for (std::size_t k = 0; k < 6; ++k) gradients_[k] += by[r] * features_[r * 6 + k];
  }
  void zero_gradients() { gradients_.assign(6, 0); }
  std::vector<std::span<double>> parameters() { return {std::span(weights_)}; }
  const numbers& weights() const { return weights_; }
  const numbers& gradients() const { return gradients_; }

 private:
  numbers weights_, gradients_, features_, times_, out_;
};
struct adam {
  numbers first = numbers(6), second = numbers(6);
  void step(network& model, lk::progress p) {
    const auto w = model.parameters()[0];
    for (std::size_t k = 0; k < 6; ++k) {
      const double g = model.gradients()[k];
      first[k] += 0.1 * (g - first[k]), second[k] += 0.01 * (g * g - second[k]);
      w[k] -= lk::cosine(0.05, 0.001)(p.fraction()) * first[k] / (std::sqrt(second[k]) + 1e-8);
    }
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("first", first), archive("second", second);
  }
};

struct outcome {
  numbers student, target;
  bool operator==(const outcome&) const = default;
};
outcome program(lk::fit_settings settings, toy::stops_at watch = {0}) {  // never
  generated data;
  network student, target;
  adam optimizer;
  lk::averager follow(lk::ema{.decay = 0.95}, lk::in_place(target.parameters()));
  auto exact = lk::exact_denoiser<double>(gaussian, path, lk::predicts_velocity{});
  auto segment = lk::segment_of<double>(path, lk::predicts_velocity{}, {.steps = 2});
  const auto teacher = [&](const noised_rows& in) {  // the average of the student, at the end of a piece of the exact path
    return target.sample(segment(exact, in.view(), in.t, in.s), in.s);
  };
  settings.epochs = 100, settings.batch = 32, settings.seed = 3;
  lk::trainer t{student, teacher, lk::objective{lk::pseudo_huber{.scale = 0.1}}, optimizer};
  t.fit(data, settings, lk::averaging(follow, student), watch);
  return {student.weights(), target.weights()};
}

/// Root mean square distance of one step from noise to the flow's end.
double error(const numbers& weights) {
  network net;
  std::copy(weights.begin(), weights.end(), net.parameters()[0].begin());
  numbers x, t(41, 1.5);
  for (int i = -20; i <= 20; ++i) x.push_back(0.05 * i);
  const tensor out = net.sample(tensor(x.data(), 41, 1), t);
  const double c = std::cos(1.5), wide = std::hypot(c * deviation, std::sin(1.5) * d);
  double all = 0;
  for (std::size_t i = 0; i < 41; ++i) {
    const double gap = out(i, 0) - (mean + (x[i] - c * mean) / wide * deviation);
    all += gap * gap / 41;
  }
  return std::sqrt(all);
}

}  // namespace

TEST_CASE("consistency in the trainer: one step gives what the teacher's whole path does", "[diffusion]") {
  const outcome whole = program({}), parts = program({.micro_batch = 5});
  CHECK(error(whole.student) < 0.05);
  CHECK(error(whole.target) < 0.05);
  CHECK(error(numbers(6)) > 0.4);
  for (std::size_t k = 0; k < 6; ++k) CHECK(whole.student[k] == Approx(parts.student[k]).epsilon(1e-6).margin(1e-8));
}

TEST_CASE("consistency in the trainer: a run that stops goes on as one that never did", "[diffusion]") {
  toy::temporary file("consistency.ckpt");
  const outcome never = program({});
  CHECK_THROWS_WITH(program({.checkpoint = file.path, .checkpoint_every = 3}, toy::stops_at{32}), "the machine is gone");
  CHECK(program({.checkpoint = file.path, .checkpoint_every = 3}) == never);
}
