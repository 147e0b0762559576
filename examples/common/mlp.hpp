#ifndef LIMBECK_EXAMPLES_MLP_HPP
#define LIMBECK_EXAMPLES_MLP_HPP

// A multi-layer perceptron with ReLU and its backward pass written by hand. There is no autograd here: the
// loss hands over its gradient with respect to the logits (or to a hidden layer), and `backward` takes it from there.

#include <Eigen/Core>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace examples {

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// What a loss on features hands over: its gradient with respect to `mlp::hidden(layer)`.
struct hidden_gradient {
  std::size_t layer;
  const matrix& gradient;
};

class mlp {
 public:
  /// `widths` runs from the inputs to the classes: {16, 64, 64, 26}.
  mlp(std::vector<int> widths, std::uint64_t seed);

  /// Logits of the rows of `x`, until the next `forward`. Keeps `x` and every layer's output for `backward`.
  const matrix& forward(const Eigen::Ref<const matrix>& x);

  /// Output of a hidden layer (from 0) behind its ReLU, rows x width, of the last `forward`.
  const matrix& hidden(std::size_t layer) const { return outputs_[layer]; }

  /// All of them.
  std::span<const matrix> hidden() const { return std::span(outputs_).first(layers() - 1); }

  /// Adds to the gradients of all parameters, from the gradient of the loss with respect to the logits of the last
  /// `forward`; losses on features send theirs to the layers that they look at.
  void backward(const matrix& logits_gradient, const std::vector<hidden_gradient>& at_hidden = {});

  /// The gradient with respect to the rows of the last `forward`, once `backward` is done.
  const matrix& input_gradient();

  void zero_gradients() { gradients_.setZero(); }

  /// A span for the weights of each layer and one for its biases.
  std::vector<std::span<float>> parameters() { return spans(parameters_); }
  std::vector<std::span<float>> gradients() { return spans(gradients_); }

  /// The same numbers in one piece, in the same order.
  std::span<float> flat_parameters() { return all(parameters_); }
  std::span<float> flat_gradients() { return all(gradients_); }

  /// How a checkpoint saves and loads it; the widths are the program's to keep.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("parameters", flat_parameters());
  }

 private:
  std::size_t layers() const { return widths_.size() - 1; }
  const matrix& below(std::size_t l) const { return l == 0 ? inputs_ : outputs_[l - 1]; }

  // A layer's weights (inputs x outputs) and, behind them, its biases, in a flat array of all parameters.
  Eigen::Map<matrix> weight(Eigen::ArrayXf& flat, std::size_t l) const {
    return {flat.data() + offsets_[l], widths_[l], widths_[l + 1]};
  }
  Eigen::Map<Eigen::RowVectorXf> bias(Eigen::ArrayXf& flat, std::size_t l) const {
    return {flat.data() + offsets_[l] + widths_[l] * widths_[l + 1], widths_[l + 1]};
  }
  std::vector<std::span<float>> spans(Eigen::ArrayXf& flat) const;
  static std::span<float> all(Eigen::ArrayXf& flat) { return {flat.data(), static_cast<std::size_t>(flat.size())}; }

  std::vector<int> widths_;
  std::vector<Eigen::Index> offsets_;
  matrix inputs_;
  std::vector<matrix> outputs_;
  matrix delta_, lower_;
  Eigen::ArrayXf parameters_, gradients_;
};

}  // namespace examples

#endif
