#include "regression.hpp"

#include "../common/optimizers.hpp"
#include "noised_data.hpp"

#include <limbeck/averaging.hpp>
#include <limbeck/diffusion/consistency.hpp>
#include <limbeck/diffusion/continuous_consistency.hpp>
#include <limbeck/diffusion/progressive.hpp>
#include <limbeck/diffusion/teacher_segment.hpp>
#include <limbeck/schedule/schedules.hpp>
#include <limbeck/trainer.hpp>

namespace few_step {

namespace {

/// Times of a grid, but its end; the step before the last is at place steps - 1.
time_law times_of(int steps) {
  return [steps](lk::random_stream random, std::size_t count) {
    std::vector<double> times(count);
    for (double& t : times) t = grid(steps)[random.below(static_cast<std::size_t>(steps))];
    return times;
  };
}
/// A step of the grid further.
std::vector<double> further(std::vector<double> times, int steps) {
  for (double& t : times) t = std::max(0.0, t - noise_alone / steps);
  return times;
}

/// Trains @p net and gives back the average of its parameters, which a teacher may read on the way.
template <class Teacher>
void fit(denoiser& net, denoiser& average, Teacher&& teacher, noised_data data, const lesson& l, double decay) {
  lk::trainer trainer{net, teacher, lk::objective{lk::mse{}}, adam(lk::cosine(l.rate, 0.0))};
  trainer.fit(data, run_of(data, l.updates, l.batch, l.seed), lk::averaging(lk::averager(lk::ema{.decay = decay}, lk::in_place(average.parameters())), net));
}

/// The velocity whose one step arrives where two steps of the teacher did.
struct two_steps_in_one {
  denoiser teacher;
  int steps;  // of the student
  lk::teacher_segment<float, lk::trigonometric, lk::predicts_velocity> segment{path, velocity, {.steps = 2}};
  std::vector<double> to{};

  auto operator()(const noised_rows& b) {
    const question& q = b.inputs;
    to = further(q.times, steps);
    const lk::rows<const float> x(q.x.data(), static_cast<std::size_t>(q.x.rows()), static_cast<std::size_t>(q.x.cols()));
    const auto arrived = segment(with_classes(teacher, q.classes), x, q.times, to);
    const auto at = lk::levels(path, q.times);
    return lk::converted(lk::predicts_clean{}, velocity, lk::clean_between(arrived, q.x, at, lk::levels(path, to)), q.x, at);
  }
};

/// The velocity that leads to where the average ends from a step further down the teacher's path.
struct same_end {
  denoiser teacher;
  denoiser& average;
  int steps;
  lk::teacher_segment<float, lk::trigonometric, lk::predicts_velocity> segment{path, velocity};
  std::vector<double> to{};

  auto operator()(const noised_rows& b) {
    const question& q = b.inputs;
    to = further(q.times, steps);
    const lk::rows<const float> x(q.x.data(), static_cast<std::size_t>(q.x.rows()), static_cast<std::size_t>(q.x.cols()));
    const auto arrived = segment(with_classes(teacher, q.classes), x, q.times, to);
    const matrix& answer = with_classes(average, q.classes)(arrived, to);
    return lk::converted(lk::predicts_clean{}, velocity,
                         lk::consistency_sample(lk::trigonometric_boundary{}, answer, arrived, lk::levels(path, to)), q.x,
                         lk::levels(path, q.times));
  }
};

/// What the student said, and the tangent along the teacher's path.
struct tangent {
  denoiser teacher;
  denoiser& student;  // as it stands after its forward
  std::vector<double> dt{};
  matrix dx{}, along{}, way{};

  auto answer(const noised_rows& b, const matrix& said) {
    const question& q = b.inputs;
    way = teacher.forward(q);
    dx = way, dt = q.times;
    for (std::size_t r = 0; r < dt.size(); ++r) {  // cos t sin t times the direction of the path
      dt[r] = std::cos(q.times[r]) * std::sin(q.times[r]);
      dx.row(static_cast<Eigen::Index>(r)) *= static_cast<float>(dt[r]);
    }
    along = student.along(dx, dt);
    return lk::continuous_consistency(said, way, along, q.x, lk::levels(path, q.times),
                                      lk::tangent_options{.warm_up = lk::linear(0.0, 1.0)});
  }
};

}  // namespace

std::vector<denoiser> progressive(const lesson& l) {
  std::vector<denoiser> students;
  denoiser teacher = l.teacher;
  for (int steps = 8; steps >= 1; steps /= 2) {
    denoiser net = teacher, average = teacher;
    fit(net, average, two_steps_in_one{teacher, steps}, {l.data, times_of(steps)}, l, 0.99);
    teacher = average;
    if (steps <= 4) students.push_back(average);
  }
  return students;
}

denoiser consistency(const lesson& l) {
  constexpr int steps = 32;
  denoiser net = l.teacher, average = l.teacher;
  fit(net, average, same_end{l.teacher, average, steps}, {l.data, times_of(steps)}, l, 0.99);
  return average;
}

denoiser continuous_consistency(const lesson& l) {
  denoiser net = l.teacher, average = l.teacher;
  fit(net, average, tangent{l.teacher, net}, {l.data}, l, 0.99);
  return average;
}

}  // namespace few_step
