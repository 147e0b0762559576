#ifndef LIMBECK_LOSS_FEATURES_PROJECTION_HPP
#define LIMBECK_LOSS_FEATURES_PROJECTION_HPP

/// @file
/// A learned affine map with its gradients: the projection from the student's features to the teacher's.

#include <limbeck/core/random.hpp>
#include <limbeck/engine/batch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Normal weights of variance 2 / inputs. He et al., 2015, arXiv:1502.01852.
struct he {
  std::uint64_t seed = 0;  ///< of the weights
  /// Standard deviation of a weight.
  double deviation(std::size_t inputs, std::size_t) const { return std::sqrt(2.0 / static_cast<double>(inputs)); }
};

/// Normal weights of variance 2 / (inputs + outputs). Glorot and Bengio, 2010.
struct xavier {
  std::uint64_t seed = 0;  ///< of the weights
  /// Standard deviation of a weight.
  double deviation(std::size_t inputs, std::size_t outputs) const {
    return std::sqrt(2.0 / static_cast<double>(inputs + outputs));
  }
};

/// y = W x + b, W of outputs x inputs (one row an output), with the gradients of both. @p T is `float` or `double`.
///
/// It belongs to the caller, who hands `parameters()` and `gradients()` to an optimiser and calls `zero_gradients()`
/// between steps; losses hold it by address and *add* to its gradients. Weights depend on the seed alone; b starts at
/// 0.
template <class T>
class projection {
 public:
  using scalar = T;  ///< of weights, gradients and features

  /// @p initial is `he{.seed = 1}` or `xavier{.seed = 1}`. @throws shape_error where a size is 0.
  template <class Initial = he>
  projection(std::size_t inputs, std::size_t outputs, const Initial& initial = {})
      : inputs_(inputs), weights_(inputs * outputs), bias_(outputs), weight_gradients_(inputs * outputs),
        bias_gradients_(outputs) {
    if (weights_.empty())
      raise<shape_error>("limbeck: projection has " + std::to_string(inputs) + " inputs and " + std::to_string(outputs) +
                         " outputs, expected at least 1 of both");
    random_stream random(initial.seed);
    const double deviation = initial.deviation(inputs, outputs);
    for (T& w : weights_) w = static_cast<T>(deviation * random.normal());
  }

  std::size_t inputs() const { return inputs_; }         ///< columns that it takes
  std::size_t outputs() const { return bias_.size(); }   ///< columns that it gives
  /// Weights, then bias.
  std::array<std::span<T>, 2> parameters() { return {weights_, bias_}; }
  /// Their gradients, in the same order.
  std::array<std::span<T>, 2> gradients() { return {weight_gradients_, bias_gradients_}; }
  /// Sets the gradients to 0.
  void zero_gradients() {
    for (const std::span<T> g : gradients()) std::fill(g.begin(), g.end(), T(0));
  }

  /// @p y = @p x W^T + b, samples x outputs from samples x inputs. One product.
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T>& in) const {
    in.dense.multiply(T(1), x, weights().transposed(), T(0), y, in.memory, in.on);
    for (std::size_t r = 0; r < y.samples; ++r)
      for (std::size_t c = 0; c < y.classes; ++c) y(r, c) += bias_[c];
  }
  /// Adds to the gradients what @p slope, the derivative with respect to y, says of W and b; and to @p x_gradient what
  /// it says of x, where that has data. Two products.
  void pull_back(const rows<const T>& x, const rows<const T>& slope, const rows<T>& x_gradient, const batch<T>& in) {
    in.dense.multiply(T(1), slope.transposed(), x, T(1), rows<T>(weight_gradients_.data(), outputs(), inputs_),
                      in.memory, in.on);
    for (std::size_t r = 0; r < slope.samples; ++r)
      for (std::size_t c = 0; c < slope.classes; ++c) bias_gradients_[c] += slope(r, c);
    if (x_gradient.data != nullptr) in.dense.multiply(T(1), slope, weights(), T(1), x_gradient, in.memory, in.on);
  }

  /// Saves or restores weights and bias.
  template <class Archive>
  void serialize(Archive& archive) {
    std::span<T> w(weights_), b(bias_);
    archive("weights", w);
    archive("bias", b);
  }

 private:
  rows<const T> weights() const { return {weights_.data(), bias_.size(), inputs_}; }

  std::size_t inputs_;
  std::vector<T> weights_, bias_, weight_gradients_, bias_gradients_;
};

LIMBECK_END_NAMESPACE

#endif
