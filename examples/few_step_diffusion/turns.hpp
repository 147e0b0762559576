#ifndef LIMBECK_FEW_STEP_TURNS_HPP
#define LIMBECK_FEW_STEP_TURNS_HPP

// What generators and those who judge them share: a generator of a few steps, draws for it, and its samples with noise as data.

#include "../common/optimizers.hpp"
#include "noised_data.hpp"

#include <limbeck/averaging.hpp>
#include <limbeck/diffusion/consistency.hpp>
#include <limbeck/diffusion/few_step_rollout.hpp>
#include <limbeck/driver/alternating.hpp>
#include <limbeck/schedule/schedules.hpp>
#include <limbeck/trainer.hpp>

#include <utility>

namespace few_step {

/// What a step of a generator draws: where it begins, which of its steps is trained, and to which level its samples are noised.
struct draws {
  matrix z;
  std::vector<int> conditions;
  std::size_t k = 1;
  lk::random_stream between{0};
  std::vector<double> times;
  matrix noise;
};
struct drawn {
  draws inputs;
  std::vector<double> times;  // the same again, where the library's teacher reads them
  const matrix& noise_rows() const { return inputs.noise; }
};

/// A denoiser as a generator in @p steps steps: a trainer's student, whose k-th step has gradients.
class generator {
 public:
  generator(denoiser& net, int steps) : net_(net), rollout_(path, velocity, {.steps = static_cast<std::size_t>(steps)}) {}
  std::size_t draw_step(const lk::random_stream& random) const { return rollout_.draw(random); }

  const matrix& forward(const draws& in) {
    at_.x = in.z, at_.classes = in.conditions;
    const auto times = rollout_.run(with_classes(net_, at_.classes), in.k, in.between, at_.x);
    at_.times.assign(times.begin(), times.end());
    samples_ = clean_of(net_.forward(at_), at_);
    return samples_;
  }
  void backward(const matrix& gradient) {
    matrix by_answer(gradient.rows(), gradient.cols());
    lk::fill(lk::consistency_slope(lk::trigonometric_boundary{}, gradient, lk::levels(path, at_.times)), by_answer);
    net_.backward(by_answer);
  }
  void zero_gradients() { net_.zero_gradients(); }
  auto parameters() { return net_.parameters(); }
  auto gradients() { return net_.gradients(); }

 private:
  denoiser& net_;
  lk::few_step_rollout<lk::trigonometric, lk::predicts_velocity> rollout_;
  question at_;
  matrix samples_;
};

/// A data source of draws for the generator.
struct generator_data {
  const task& of;
  const generator& by;
  lk::random_stream random{0};

  std::size_t size() const { return 4096; }
  void prepare(std::span<const std::size_t>, const lk::draw_request& request) { random = request.random; }
  drawn batch(std::span<const std::size_t> rows) const {
    const std::size_t n = rows.size();
    const auto columns = of.rows.cols();
    drawn d{{noise(random.split(0), std::ssize(rows), columns), draw_classes(of, random.split(1), n), by.draw_step(random.split(2)),
             random.split(3), draw_times(random.split(4), n, 0.05, 1.5), noise(random.split(5), std::ssize(rows), columns)},
            {}};
    d.times = d.inputs.times;
    return d;
  }
};

/// What the generator makes of them, with noise: data for the denoiser of generated samples.
struct generated_data {
  generator& by;
  generator_data draws_of;

  std::size_t size() const { return draws_of.size(); }
  void prepare(std::span<const std::size_t> rows, const lk::draw_request& request) { draws_of.prepare(rows, request); }
  noised_rows batch(std::span<const std::size_t> rows) {
    drawn d = draws_of.batch(rows);
    matrix clean = by.forward(d.inputs);
    return add_noise(std::move(clean), std::move(d.inputs.conditions), std::move(d.times), draws_of.random.split(6));
  }
};

/// A denoiser in the form that the library's teachers ask: of noised rows, times and conditions.
inline auto asked(denoiser& net) {
  return [&net](const lk::rows<const float>& noisy, std::span<const double> times, std::span<const int> classes) -> const matrix& {
    return with_classes(net, classes)(noisy, times);
  };
}

/// Of a turn.
inline lk::turn_settings steps_of(const lesson& l, std::size_t steps, std::size_t warm_up = 0) {
  return {.steps = steps, .warm_up = warm_up, .batch = static_cast<std::size_t>(l.batch)};
}

}  // namespace few_step

#endif
