#ifndef LIMBECK_DIGIT_CANVAS_SEGMENTATION_HPP
#define LIMBECK_DIGIT_CANVAS_SEGMENTATION_HPP

// A segmenter that sees 9 x 9 pixels teaches one that sees 7 x 7, by seven objectives.

#include "../common/mlp.hpp"
#include "../common/optimizers.hpp"
#include "canvas.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/map/through.hpp>
#include <limbeck/map/views.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace digit_canvas {

constexpr std::size_t teacher_radius = 4, student_radius = 3;

/// Learns pixels of @p from, drawn at random, by their labels.
inline mlp train_teacher(const canvases& from, int updates, std::uint64_t seed) {
  mlp net({81, 64, 32, static_cast<int>(classes)}, seed);
  adam optimizer(constant(0));
  const lk::cosine rate(0.003, 0.0);
  const lk::objective objective{lk::cross_entropy{}};
  lk::random_stream random(seed);
  lk::workspace ws;
  matrix gradient;
  row_numbers rows(1024);
  std::vector<int> labels(rows.size());
  for (int u = 0; u < updates; ++u) {
    for (std::size_t i = 0; i < rows.size(); ++i) labels[i] = from.labels[rows[i] = random.below(from.labels.size())];
    const matrix& logits = net.forward(windows(from, rows, teacher_radius));
    gradient.resizeLike(logits);
    objective(logits, labels, lk::into(gradient), ws);
    net.zero_gradients();
    net.backward(gradient);
    optimizer.step(net.parameters(), net.gradients(), rate(static_cast<double>(u) / updates));
  }
  return net;
}

/// The class that a network says of each pixel of all canvases.
inline std::vector<int> segment(mlp& net, const canvases& of, std::size_t radius) {
  std::vector<int> said;
  for (std::size_t n = 0; n < of.size(); ++n) {
    const matrix& logits = net.forward(windows(of, n, 1, radius));
    for (Eigen::Index p = 0; p < logits.rows(); ++p) {
      Eigen::Index best = 0;
      logits.row(p).maxCoeff(&best);
      said.push_back(static_cast<int>(best));
    }
  }
  return said;
}

/// What a student learns from: canvases with labels, their masks, and what the teacher says of them. Rows are pixels.
struct lessons {
  canvases labelled;
  matrix inputs, teacher;             // windows; logits
  matrix edges;                       // a boundary a class, pixels x classes
  std::vector<float> edge_weights;    // BPKD's
  std::vector<float> near_edges;      // 5 at any boundary, 1 elsewhere
  std::vector<float> object_weights;  // one an object, one the background

  lessons(const canvases& with, mlp& teaches)
      : labelled(with),
        inputs(windows(with, 0, with.size(), student_radius)),
        edges(inputs.rows(), static_cast<Eigen::Index>(classes)),
        edge_weights(with.labels.size()),
        near_edges(with.labels.size()),
        object_weights(with.labels.size()) {
    teacher = teaches.forward(windows(with, 0, with.size(), teacher_radius));
    const lk::boundary thin{.height = shape.height, .width = shape.width, .radius = 1};
    lk::class_boundary_mask(labelled.labels, thin, lk::rows<float>(edges.data(), labelled.labels.size(), classes));
    lk::boundary_weights(edges, pixels, edge_weights);
    lk::boundary_mask(labelled.labels, thin, near_edges);
    for (float& w : near_edges) w = 1 + 4 * w;
    std::vector<float> front(pixels), back(pixels);
    for (std::size_t n = 0; n < with.size(); ++n) {
      std::vector<lk::box> boxes;
      for (const object& o : with.objects[n]) boxes.push_back(o.where);
      lk::box_mask(boxes, shape, front, back);
      for (std::size_t p = 0; p < pixels; ++p) object_weights[n * pixels + p] = front[p] + back[p];
    }
  }
};

/// Some canvases of these lessons, side by side, as views.
struct lesson {
  lk::rows<const float> teacher, edges;
  std::span<const int> labels;
  std::span<const float> edge_weights, near_edges, object_weights;
  std::size_t pictures;

  lesson(const lessons& of, std::size_t first, std::size_t count)
      : teacher(of.teacher.data() + first * pixels * classes, count * pixels, classes),
        edges(of.edges.data() + first * pixels * classes, count * pixels, classes),
        labels(part(of.labelled.labels, first, count)),
        edge_weights(part(of.edge_weights, first, count)),
        near_edges(part(of.near_edges, first, count)),
        object_weights(part(of.object_weights, first, count)),
        pictures(count) {}

 private:
  template <class T>
  static std::span<const T> part(const std::vector<T>& all, std::size_t first, std::size_t count) {
    return std::span(all).subspan(first * pixels, count * pixels);
  }
};

/// How a student learns: the gradient of its loss on some canvases.
struct recipe {
  std::string name;
  std::function<void(const matrix& student, const lesson& l, matrix& gradient, lk::workspace& ws)> gradient;
};

inline std::vector<recipe> recipes() {
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{});
  // every other recipe adds to the labels' loss
  const auto labels = [](const matrix& s, const lesson& l, matrix& g, lk::workspace& ws) {
    lk::objective{lk::cross_entropy{}}(s, l.labels, lk::into(g), ws);
  };
  const auto privileged = [=](double share) {  // 20 and 50, and 2 within, are the weights of BPKD
    return [=](const matrix& s, const lesson& l, matrix& g, lk::workspace& ws) {
      const auto kl4 = lk::at_temperature(4.0, lk::forward_kl{});
      const auto edges = share * 50 * 2 * lk::through(lk::element_mask{l.edges}, kl4);
      const auto bodies =
          share * 20 * lk::through(lk::element_mask{l.edges, true}, lk::grouped(pixels, lk::transposed(kl4)));
      labels(s, l, g, ws);
      lk::objective{edges}(s, l.teacher, lk::row_weights(l.edge_weights),
                           lk::mean_over(static_cast<double>(l.pictures)), lk::add_to(g), ws);
      lk::objective{bodies}(s, l.teacher, lk::add_to(g), ws);
    };
  };
  return {
      {"labels only", labels},
      {"+ pixel KL",
       [=](const matrix& s, const lesson& l, matrix& g, lk::workspace& ws) {
         lk::objective{lk::cross_entropy{} + kl}(s, l.teacher, l.labels, lk::into(g), ws);
       }},
      {"+ channel-wise KL",
       [=](const matrix& s, const lesson& l, matrix& g, lk::workspace& ws) {
         const auto channels = lk::grouped(pixels, lk::transposed(lk::at_temperature(4.0, lk::forward_kl{})));
         lk::objective{lk::cross_entropy{} + 3 * channels}(s, l.teacher, l.labels, lk::into(g), ws);
       }},
      {"+ KL, boundaries x 5",
       [=](const matrix& s, const lesson& l, matrix& g, lk::workspace& ws) {
         labels(s, l, g, ws);
         lk::objective{kl}(s, l.teacher, lk::row_weights(l.near_edges), lk::add_to(g), ws);
       }},
      {"+ KL, objects alike",
       [=](const matrix& s, const lesson& l, matrix& g, lk::workspace& ws) {
         labels(s, l, g, ws);
         lk::objective{kl}(s, l.teacher, lk::row_weights(l.object_weights), lk::add_to(g), ws);
       }},
      {"+ BPKD", privileged(1)},
      {"+ BPKD, a hundredth", privileged(0.01)},
  };
}

inline mlp train_student(const lessons& from, const recipe& r, int updates, std::uint64_t seed) {
  constexpr std::size_t batch = 4;  // canvases
  mlp net({49, 32, static_cast<int>(classes)}, seed);
  adam optimizer(constant(0));
  const lk::cosine rate(0.01, 0.0);
  lk::random_stream random(seed);
  lk::workspace ws;
  matrix gradient;
  for (int u = 0; u < updates; ++u) {
    const std::size_t first = random.below(from.labelled.size() - batch + 1);
    const matrix& logits = net.forward(
        from.inputs.middleRows(static_cast<Eigen::Index>(first * pixels), static_cast<Eigen::Index>(batch * pixels)));
    gradient.resizeLike(logits);
    r.gradient(logits, lesson(from, first, batch), gradient, ws);
    net.zero_gradients();
    net.backward(gradient);
    optimizer.step(net.parameters(), net.gradients(), rate(static_cast<double>(u) / updates));
  }
  return net;
}

}  // namespace digit_canvas

#endif
