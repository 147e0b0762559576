#include "generators.hpp"

#include "turns.hpp"

#include <limbeck/diffusion/density_ratio.hpp>
#include <limbeck/diffusion/f_weights.hpp>
#include <limbeck/diffusion/matching_teacher.hpp>
#include <limbeck/loss/critics/critic_logistic.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>

namespace few_step {

namespace {

/// The gradient of distribution matching, and weights of its rows by a critic.
template <class Matching>
struct weighed_matching {
  Matching matching;
  denoiser& critic;
  std::vector<double>& weights;
  matrix noisy{};

  auto answer(drawn& b, const matrix& x) {
    noisy.resize(x.rows(), x.cols());
    lk::fill(lk::noised(x, b.inputs.noise, lk::levels(path, b.times)), noisy);
    lk::density_ratio(critic.forward(noisy, b.times, b.inputs.conditions), weights, {.clip = 10});
    lk::f_weights(weights, weights, {.divergence = lk::f_divergence::jensen_shannon});
    return matching.answer(b, x);
  }
};

/// As many rows of the data as of the generator's, with noise: first those, then these.
struct both_data {
  noised_data real;
  generated_data fake;
  struct rows_of_both {
    question inputs;
    std::vector<float> row_weights;  // 1: twice the rows that were drawn
  };
  std::size_t size() const { return fake.size(); }
  void prepare(std::span<const std::size_t> rows, const lk::draw_request& request) { fake.prepare(rows, request); }
  rows_of_both batch(std::span<const std::size_t> rows) {
    noised_rows mine = fake.batch(rows);
    const noised_rows data = draw_rows(real.of, rows.size(), mine.inputs.times, fake.draws_of.random.split(7));
    rows_of_both b{data.inputs, std::vector<float>(2 * rows.size(), 1)};
    b.inputs.x.conservativeResize(2 * data.inputs.x.rows(), Eigen::NoChange);
    b.inputs.x.bottomRows(mine.inputs.x.rows()) = mine.inputs.x;
    b.inputs.times.insert(b.inputs.times.end(), mine.inputs.times.begin(), mine.inputs.times.end());
    b.inputs.classes.insert(b.inputs.classes.end(), mine.inputs.classes.begin(), mine.inputs.classes.end());
    return b;
  }
};

}  // namespace

denoiser distribution_matching(const lesson& l, int steps) {
  denoiser net = l.teacher, average = net, fake = net, real = net;
  generator student(net, steps);
  const generator_data draws{l.data, student};
  lk::alternating(
      {.rounds = static_cast<std::size_t>(l.updates), .seed = l.seed},
      lk::turn("fake", lk::trainer{fake, velocity_of_rows{}, lk::objective{lk::mse{}}, adam(constant(0.002))},
               generated_data{student, draws}, steps_of(l, 5)),
      lk::turn("generator",
               lk::trainer{student, lk::matching_teacher(path, asked(real), asked(fake), velocity), lk::objective{lk::specified_gradient{}},
                           adam(lk::cosine(l.rate, 0.0))},
               draws, steps_of(l, 1), lk::averaging(lk::averager(lk::ema{.decay = 0.99}, lk::in_place(average.parameters())), student)));
  return average;
}

denoiser f_distill(const lesson& l, int steps) {
  denoiser net = l.teacher, average = net, fake = net, real = net, critic(l.data.shape(1), l.seed);
  generator student(net, steps);
  const generator_data draws{l.data, student};
  const auto n = static_cast<std::size_t>(l.batch);
  std::vector<double> weights(n), is_real(2 * n), is_fake(2 * n, 1);
  std::fill_n(is_real.begin(), n, 1.0), std::fill_n(is_fake.begin(), n, 0.0);
  const auto matching = lk::matching_teacher(path, asked(real), asked(fake), velocity);
  lk::alternating(
      {.rounds = static_cast<std::size_t>(l.updates), .seed = l.seed},
      lk::turn("fake", lk::trainer{fake, velocity_of_rows{}, lk::objective{lk::mse{}}, adam(constant(0.002))},
               generated_data{student, draws}, steps_of(l, 4)),
      lk::turn("critic",
               lk::trainer{critic, lk::no_teacher{},
                           lk::objective{lk::given(is_real) * lk::critic_logistic{lk::critic_role::real} +
                                         lk::given(is_fake) * lk::critic_logistic{lk::critic_role::fake}},
                           adam(constant(0.001))},
               both_data{{l.data}, {student, draws}}, steps_of(l, 1, 50)),
      lk::turn("generator",
               lk::trainer{student, weighed_matching<std::remove_const_t<decltype(matching)>>{matching, critic, weights},
                           lk::objective{lk::given(weights) * lk::specified_gradient{}}, adam(lk::cosine(l.rate, 0.0))},
               draws, steps_of(l, 1), lk::averaging(lk::averager(lk::ema{.decay = 0.99}, lk::in_place(average.parameters())), student)));
  return average;
}

}  // namespace few_step
