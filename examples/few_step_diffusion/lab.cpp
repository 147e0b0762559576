#include "lab.hpp"

#include <utility>

namespace few_step {

noised_rows add_noise(matrix clean, std::vector<int> classes, std::vector<double> times, const lk::random_stream& random) {
  noised_rows b{std::move(clean), {}, {{}, std::move(times), std::move(classes)}};
  b.noise = noise(random, b.clean.rows(), b.clean.cols());
  b.inputs.x.resize(b.clean.rows(), b.clean.cols());
  lk::fill(lk::noised(b.clean, b.noise, lk::levels(path, b.inputs.times)), b.inputs.x);
  return b;
}

noised_rows draw_rows(const task& from, std::size_t count, std::vector<double> times, const lk::random_stream& random) {
  lk::random_stream which = random.split(0);
  matrix clean(static_cast<Eigen::Index>(count), from.rows.cols());
  std::vector<int> classes(from.class_count > 0 ? count : 0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t row = which.below(static_cast<std::size_t>(from.rows.rows()));
    clean.row(static_cast<Eigen::Index>(i)) = from.rows.row(static_cast<Eigen::Index>(row));
    if (from.class_count > 0) classes[i] = from.classes[row];
  }
  return add_noise(std::move(clean), std::move(classes), std::move(times), random.split(1));
}

matrix sample(denoiser& net, sampler how, int steps, std::size_t count, std::span<const int> classes, const lk::random_stream& random,
              const std::function<void(const matrix&, int)>& look) {
  const std::vector<double> times = grid(steps);
  matrix x = noise(random.split(0), static_cast<Eigen::Index>(count), net.shape().dimensions), next = x;
  for (int k = 0; k < steps; ++k) {
    if (look) look(x, k);
    const auto at = lk::levels(path, times[static_cast<std::size_t>(k)]), to = lk::levels(path, times[static_cast<std::size_t>(k) + 1]);
    const matrix& answer = net.forward(x, std::vector<double>(count, at.time), classes);
    if (how == sampler::flow || k + 1 == steps) {
      lk::fill(lk::ddim(velocity, answer, x, at, to), next);
    } else {
      const matrix z = noise(random.split(static_cast<std::uint64_t>(k) + 1), x.rows(), x.cols());
      lk::fill(lk::noised(lk::to_clean(velocity, answer, x, at), z, to), next);
    }
    x.swap(next);
  }
  if (look) look(x, steps);
  return x;
}

}  // namespace few_step
