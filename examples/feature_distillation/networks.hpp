#ifndef LIMBECK_FEATURE_DISTILLATION_NETWORKS_HPP
#define LIMBECK_FEATURE_DISTILLATION_NETWORKS_HPP

// Two networks with a layer in their middle that losses on features look at: a second output beside the logits.

#include "../common/mlp.hpp"

#include <limbeck/eigen.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace feature_distillation {

using namespace examples;
namespace lk = limbeck;

/// What a network says of the rows of a batch, and what it is handed back: the gradients of both.
inline auto both(const matrix& logits, const matrix& features) {
  return lk::outputs{lk::output<"logits">(logits), lk::output<"features">(features)};
}
using layers = decltype(both(matrix(), matrix()));

class network {
 public:
  virtual ~network() = default;
  virtual layers forward(const matrix& x) = 0;
  virtual void backward(const layers& gradients) = 0;
  virtual void zero_gradients() = 0;
  virtual std::vector<std::span<float>> parameters() = 0;
  virtual std::vector<std::span<float>> gradients() = 0;
};

/// Two hidden layers of one width. Features: the second of them, behind its ReLU.
class perceptron : public network {
 public:
  perceptron(int inputs, int width, int classes, std::uint64_t seed) : net_({inputs, width, width, classes}, seed) {}

  layers forward(const matrix& x) override { return both(net_.forward(x), net_.hidden(1)); }
  void backward(const layers& g) override { net_.backward(g.of<"logits">(), {{1, g.of<"features">()}}); }
  void zero_gradients() override { net_.zero_gradients(); }
  std::vector<std::span<float>> parameters() override { return net_.parameters(); }
  std::vector<std::span<float>> gradients() override { return net_.gradients(); }

 private:
  mlp net_;
};

/// Reads each of the nine pixels of a picture with the same weights, 4 bands -> channels (a 1x1 convolution), and
/// classifies what it has read with a perceptron of one hidden layer. Features: channels x positions, behind a ReLU.
class pixel_network : public network {
 public:
  static constexpr int bands = 4, positions = 9;

  pixel_network(int channels, int width, int classes, std::uint64_t seed)
      : channels_(channels), pixel_({bands, channels}, seed), head_({channels * positions, width, classes}, seed + 1) {}

  layers forward(const matrix& pictures) override {  // a row holds the bands of the first pixel, then of the next
    const matrix& read = pixel_.forward(Eigen::Map<const matrix>(pictures.data(), pictures.rows() * positions, bands));
    features_.resize(pictures.rows(), channels_ * positions);
    for (Eigen::Index r = 0; r < pictures.rows(); ++r)
      picture(features_, r) = read.middleRows(r * positions, positions).transpose().cwiseMax(0.0F);
    return both(head_.forward(features_), features_);
  }
  void backward(const layers& g) override {
    head_.backward(g.of<"logits">());
    matrix slope = (features_.array() > 0.0F).select(head_.input_gradient() + g.of<"features">(), 0.0F);
    matrix of_pixels(slope.rows() * positions, channels_);
    for (Eigen::Index r = 0; r < slope.rows(); ++r)
      of_pixels.middleRows(r * positions, positions) = picture(slope, r).transpose();
    pixel_.backward(of_pixels);
  }
  void zero_gradients() override {
    pixel_.zero_gradients();
    head_.zero_gradients();
  }
  std::vector<std::span<float>> parameters() override { return joined(pixel_.parameters(), head_.parameters()); }
  std::vector<std::span<float>> gradients() override { return joined(pixel_.gradients(), head_.gradients()); }

 private:
  Eigen::Map<matrix> picture(matrix& of, Eigen::Index row) const {
    return {of.data() + row * of.cols(), channels_, positions};
  }
  static std::vector<std::span<float>> joined(std::vector<std::span<float>> a, const std::vector<std::span<float>>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  int channels_;
  mlp pixel_, head_;
  matrix features_;
};

}  // namespace feature_distillation

#endif
