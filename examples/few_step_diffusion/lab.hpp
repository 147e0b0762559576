#ifndef LIMBECK_FEW_STEP_LAB_HPP
#define LIMBECK_FEW_STEP_LAB_HPP

// What all trainings share: the data, the path from data to noise, batches, and samples in few or many steps.

#include "../common/data.hpp"
#include "denoiser.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/path.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/diffusion/steps.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace few_step {

/// All data has deviation 1, so that x_t = cos t x + sin t e has it at every t; networks predict the velocity cos t e - sin t x,
/// which has it too.
inline constexpr lk::trigonometric path{};
inline constexpr lk::predicts_velocity velocity{};
inline const double noise_alone = path.last();

/// What is learned: rows of deviation 1 and, where there are any, their classes.
struct task {
  std::string name;
  matrix rows;
  std::vector<int> classes;  // one a row, or none
  int class_count = 0;
  int width = 64;
  network_shape shape(int outputs) const { return {static_cast<int>(rows.cols()), class_count, width, 3, outputs}; }
  network_shape shape() const { return shape(static_cast<int>(rows.cols())); }
};

/// What a student learns from.
struct lesson {
  const task& data;
  const denoiser& teacher;
  int updates;
  int batch;
  double rate;
  std::uint64_t seed;
};

/// Times from noise alone to 0, in equal steps.
inline std::vector<double> grid(int steps) {
  std::vector<double> times;
  for (int k = 0; k <= steps; ++k) times.push_back(noise_alone * (steps - k) / steps);
  return times;
}

inline matrix noise(const lk::random_stream& random, Eigen::Index rows, Eigen::Index columns) {
  matrix z(rows, columns);
  lk::draw_noise(random, z);
  return z;
}
/// Uniform between these times, one a row.
inline std::vector<double> draw_times(lk::random_stream random, std::size_t count, double low, double high) {
  std::vector<double> times(count);
  for (double& t : times) t = low + (high - low) * random.uniform();
  return times;
}
/// Classes of samples to come, all alike likely.
inline std::vector<int> draw_classes(const task& of, lk::random_stream random, std::size_t count) {
  std::vector<int> classes(of.class_count > 0 ? count : 0);
  for (int& c : classes) c = static_cast<int>(random.below(static_cast<std::size_t>(of.class_count)));
  return classes;
}

/// Rows of the data with noise, at times that are given or drawn.
struct noised_rows {
  matrix clean, noise;
  question inputs;  // x_t, t and the classes
};
noised_rows add_noise(matrix clean, std::vector<int> classes, std::vector<double> times, const lk::random_stream& random);
noised_rows draw_rows(const task& from, std::size_t count, std::vector<double> times, const lk::random_stream& random);

/// What a network says that the clean sample is, of its answer for x_t.
inline matrix clean_of(const matrix& answer, const question& q) {
  matrix clean(answer.rows(), answer.cols());
  lk::fill(lk::to_clean(velocity, answer, q.x, lk::levels(path, q.times)), clean);
  return clean;
}

/// How a network becomes a sampler: along the flow (DDIM), or to clean samples, which get new noise of the next time.
enum class sampler { flow, renoise };
/// Samples of these classes (or of none, @p count) in @p steps steps of a grid; `look(x, k)` sees the rows before step k, and at the end.
matrix sample(denoiser& net, sampler how, int steps, std::size_t count, std::span<const int> classes, const lk::random_stream& random,
              const std::function<void(const matrix&, int)>& look = {});

/// One step of an optimiser along the gradients, for programs without a trainer.
template <class Optimizer>
void step(Optimizer& optimizer, denoiser& net, double rate) {
  optimizer.step(net.parameters(), net.gradients(), rate);
  net.zero_gradients();
}

}  // namespace few_step

#endif
