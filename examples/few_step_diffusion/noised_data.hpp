#ifndef LIMBECK_FEW_STEP_NOISED_DATA_HPP
#define LIMBECK_FEW_STEP_NOISED_DATA_HPP

// A data source for the trainer: rows of a task with noise that is drawn for the step.

#include "lab.hpp"

#include <limbeck/trainer/drawn.hpp>
#include <limbeck/trainer/training_run.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace few_step {

/// Draws the times of a batch.
using time_law = std::function<std::vector<double>(const lk::random_stream&, std::size_t count)>;

/// Uniform on the whole path, but for its very end, where the velocity says nothing of the data.
inline std::vector<double> any_time(const lk::random_stream& random, std::size_t count) {
  return draw_times(random, count, 0.005, noise_alone);
}

struct noised_data {
  const task& of;
  time_law times = any_time;
  lk::random_stream random{0};
  std::uint64_t parts = 0;  // drawn in this step

  std::size_t size() const { return static_cast<std::size_t>(of.rows.rows()); }
  void prepare(std::span<const std::size_t>, const lk::draw_request& request) { random = request.random, parts = 0; }
  noised_rows batch(std::span<const std::size_t> rows) {
    const lk::random_stream mine = random.split(parts++);
    matrix clean(std::ssize(rows), of.rows.cols());
    std::vector<int> classes;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      clean.row(static_cast<Eigen::Index>(i)) = of.rows.row(static_cast<Eigen::Index>(rows[i]));
      if (of.class_count > 0) classes.push_back(of.classes[rows[i]]);
    }
    return add_noise(std::move(clean), std::move(classes), times(mine.split(0), rows.size()), mine.split(1));
  }
};

/// A trainer's teacher: the velocity of the rows, a formula.
struct velocity_of_rows {
  auto operator()(const noised_rows& b) const {
    return lk::converted(lk::predicts_clean{}, velocity, b.clean, b.inputs.x, lk::levels(path, b.inputs.times));
  }
};

/// How a run over it is set.
inline lk::fit_settings run_of(const noised_data& data, int updates, int batch, std::uint64_t seed,
                               const std::filesystem::path& checkpoint = {}) {
  const auto steps = static_cast<std::size_t>(updates), rows = static_cast<std::size_t>(batch);
  return {.epochs = steps * rows / data.size() + 1, .steps = steps, .batch = rows, .seed = seed, .checkpoint = checkpoint,
          .checkpoint_every = 1000};
}

}  // namespace few_step

#endif
