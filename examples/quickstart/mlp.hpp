#ifndef LIMBECK_QUICKSTART_MLP_HPP
#define LIMBECK_QUICKSTART_MLP_HPP

// A multi-layer perceptron with ReLU, its backward pass written by hand, and Adam. There is no autograd
// here: the loss hands over its gradient with respect to the logits, and `backward` takes it from there.

#include <Eigen/Dense>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace quickstart {

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class mlp {
 public:
  /// `widths` runs from the inputs to the classes: {16, 64, 64, 26}.
  mlp(std::vector<int> widths, std::uint64_t seed) : widths_(std::move(widths)), outputs_(layers()) {
    Eigen::Index size = 0;
    for (std::size_t l = 0; l < layers(); ++l) {
      offsets_.push_back(size);
      size += (widths_[l] + 1) * widths_[l + 1];
    }
    parameters_ = gradient_ = first_ = second_ = Eigen::ArrayXf::Zero(size);

    std::mt19937_64 random(seed);  // He's initialisation: variance 2 / inputs; biases start at zero
    for (std::size_t l = 0; l < layers(); ++l) {
      std::normal_distribution<float> normal(0.0F, std::sqrt(2.0F / static_cast<float>(widths_[l])));
      for (float& w : weight(parameters_, l).reshaped()) w = normal(random);
    }
  }

  /// Logits of the rows of `x`. Keeps every layer's output for `backward`.
  const matrix& forward(const Eigen::Ref<const matrix>& x) {
    for (std::size_t l = 0; l < layers(); ++l) {
      outputs_[l].resize(x.rows(), widths_[l + 1]);
      if (l == 0)
        outputs_[l].noalias() = x * weight(parameters_, l);
      else
        outputs_[l].noalias() = outputs_[l - 1] * weight(parameters_, l);
      outputs_[l].rowwise() += bias(parameters_, l);
      if (l + 1 < layers()) outputs_[l] = outputs_[l].cwiseMax(0.0F);
    }
    return outputs_.back();
  }

  /// Gradient of the loss for every parameter, from its gradient for the logits of the last `forward(x)`.
  void backward(const Eigen::Ref<const matrix>& x, const matrix& logits_gradient) {
    delta_ = logits_gradient;
    for (std::size_t l = layers(); l-- > 0;) {
      if (l == 0)
        weight(gradient_, l).noalias() = x.transpose() * delta_;
      else
        weight(gradient_, l).noalias() = outputs_[l - 1].transpose() * delta_;
      bias(gradient_, l) = delta_.colwise().sum();
      if (l == 0) break;
      below_.noalias() = delta_ * weight(parameters_, l).transpose();
      delta_ = (outputs_[l - 1].array() > 0.0F).select(below_, 0.0F);  // where ReLU was open
    }
  }

  /// One step of Adam (Kingma and Ba, 2015) along the last gradient.
  void step(double rate) {
    ++steps_;
    const double unbias = std::sqrt(1 - std::pow(0.999, steps_)) / (1 - std::pow(0.9, steps_));
    first_ += 0.1F * (gradient_ - first_);
    second_ += 0.001F * (gradient_.square() - second_);
    parameters_ -= static_cast<float>(rate * unbias) * first_ / (second_.sqrt() + 1e-8F);
  }

  /// All weights and biases in one flat array, to save or to load.
  Eigen::ArrayXf& parameters() { return parameters_; }

 private:
  std::size_t layers() const { return widths_.size() - 1; }

  // A layer's weights (inputs x outputs) and, behind them, its biases, in a flat array of all parameters.
  Eigen::Map<matrix> weight(Eigen::ArrayXf& all, std::size_t l) const {
    return {all.data() + offsets_[l], widths_[l], widths_[l + 1]};
  }
  Eigen::Map<Eigen::RowVectorXf> bias(Eigen::ArrayXf& all, std::size_t l) const {
    return {all.data() + offsets_[l] + widths_[l] * widths_[l + 1], widths_[l + 1]};
  }

  std::vector<int> widths_;
  std::vector<Eigen::Index> offsets_;
  std::vector<matrix> outputs_;
  matrix delta_, below_;
  Eigen::ArrayXf parameters_, gradient_, first_, second_;
  int steps_ = 0;
};

}  // namespace quickstart

#endif
