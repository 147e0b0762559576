#ifndef LIMBECK_DIGIT_CANVAS_ANOMALIES_HPP
#define LIMBECK_DIGIT_CANVAS_ANOMALIES_HPP

// A student imitates a teacher's features on normal canvases; where it fails on others, it has not seen the like.

#include "../common/mlp.hpp"
#include "../common/optimizers.hpp"
#include "canvas.hpp"
#include "segmentation.hpp"

#include <limbeck/eigen.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace digit_canvas {

/// A teacher's outputs at the pixels of canvases, each channel less its mean over its deviation on normal ones.
class normalised_teacher {
 public:
  normalised_teacher(mlp net, std::size_t channels, const canvases& normal)
      : net_(std::move(net)), normaliser_(channels) {
    for (std::size_t n = 0; n < normal.size(); ++n)
      normaliser_.update(net_.forward(windows(normal, n, 1, teacher_radius)));
  }
  matrix operator()(const matrix& inputs) {
    matrix of = net_.forward(inputs);
    normaliser_(of, lk::rows<float>(of.data(), static_cast<std::size_t>(of.rows()), channels()));
    return of;
  }
  std::size_t channels() const { return normaliser_.channels(); }

 private:
  mlp net_;
  lk::channel_normaliser normaliser_;
};

/// A smaller network that sees the same windows and learns the features of normal canvases by @p objective.
template <class Objective>
mlp imitate(normalised_teacher& teacher, const canvases& normal, const Objective& objective, int updates,
            std::uint64_t seed) {
  mlp net({81, 48, static_cast<int>(teacher.channels())}, seed);
  adam optimizer(constant(0));
  const lk::cosine rate(0.003, 0.0);
  lk::random_stream random(seed);
  lk::workspace ws;
  matrix gradient;
  row_numbers rows(512);
  for (int u = 0; u < updates; ++u) {
    for (std::size_t& r : rows) r = random.below(normal.labels.size());
    const matrix inputs = windows(normal, rows, teacher_radius), wanted = teacher(inputs);
    const matrix& own = net.forward(inputs);
    gradient.resizeLike(own);
    objective(own, wanted, lk::into(gradient), ws);
    net.zero_gradients();
    net.backward(gradient);
    optimizer.step(net.parameters(), net.gradients(), rate(static_cast<double>(u) / updates));
  }
  return net;
}

/// How far the student is from the teacher at every pixel of canvas @p n.
inline std::vector<float> map_of(mlp& student, normalised_teacher& teacher, const canvases& of, std::size_t n) {
  const matrix inputs = windows(of, n, 1, teacher_radius);
  std::vector<float> map(pixels);
  lk::anomaly_map(student.forward(inputs), teacher(inputs), map);
  return map;
}

/// The chance that an anomalous score is above a normal one.
inline double area_under_curve(std::vector<double> normal, const std::vector<double>& anomalous) {
  std::sort(normal.begin(), normal.end());
  double pairs = 0;
  for (const double a : anomalous) {
    const auto [low, high] = std::equal_range(normal.begin(), normal.end(), a);
    pairs += static_cast<double>(low - normal.begin()) + 0.5 * static_cast<double>(high - low);
  }
  return pairs / (static_cast<double>(normal.size()) * static_cast<double>(anomalous.size()));
}

}  // namespace digit_canvas

#endif
