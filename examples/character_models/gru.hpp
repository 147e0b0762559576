#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_GRU_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_GRU_HPP

// A gated recurrent unit over characters (Cho et al., 2014) with its backward pass by hand:
//
//     r, z = sigmoid(E x + U h),   c = tanh(E x + r (U h + b)),   h' = (1 - z) c + z h,   logits = W h' + a.
//
// x picks a row of E. The three products with U are one.

#include "../common/mlp.hpp"
#include "text.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/decoding/rollouts.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace character_models {

namespace lk = limbeck;

using examples::matrix;

/// Sequences of characters, one behind another; behind the first `silent` of each no logits are wanted, of those that are said.
struct passages {
  tokens characters{};
  lk::segments where{};
  std::vector<std::size_t> silent{};
};

class gru {
 public:
  /// @p dropout: share of h' that the output layer does not see in training, scaled up to make up for it.
  gru(std::size_t alphabet, std::size_t width, std::uint64_t seed, double dropout = 0);

  std::size_t width() const { return width_; }
  std::size_t alphabet() const { return alphabet_; }
  std::size_t parameter_count() const { return static_cast<std::size_t>(parameters_.size()); }

  /// Logits behind each character that is not silent, in their order, until the next call. Every sequence begins with a state
  /// of zeros.
  const matrix& forward(const passages& x);
  /// The same from other states, sequences x width, which become those behind the last characters.
  const matrix& forward(const passages& x, matrix& states);
  /// Logits of each character of the answers, as Limbeck's prompted data asks for them.
  const matrix& forward(const lk::rollouts& x);
  /// State behind a character of the last call, of those of all sequences.
  auto state(std::size_t character) const { return hidden_.row(place_[character]); }

  /// Adds to the gradients, from the gradient with respect to the logits of the last `forward(x)`; sequences are cut off at their
  /// beginnings.
  void backward(const matrix& slope);

  void zero_gradients() { gradients_.setZero(); }
  std::vector<std::span<float>> parameters() { return {all(parameters_)}; }
  std::vector<std::span<float>> gradients() { return {all(gradients_)}; }
  void train() { training_ = true; }
  void eval() { training_ = false; }

  template <class Archive>
  void serialize(Archive& archive) {
    archive("parameters", all(parameters_));
    archive("dropout", drops_);
  }

 private:
  using view = Eigen::Map<matrix>;
  using row_view = Eigen::Map<Eigen::RowVectorXf>;
  // E (alphabet x 3 width), U (width x 3 width), W (width x alphabet), a, b, one behind the other.
  struct weights {
    view inputs, recurrent, outputs;
    row_view output_bias, candidate_bias;
  };
  weights in(Eigen::ArrayXf& flat) const;
  static std::span<float> all(Eigen::ArrayXf& flat) { return {flat.data(), static_cast<std::size_t>(flat.size())}; }
  void arrange(const lk::segments& where);

  std::size_t alphabet_, width_;
  float dropout_;
  bool training_ = false;
  lk::random_stream random_;
  std::uint64_t drops_ = 0;  // masks drawn
  Eigen::ArrayXf parameters_, gradients_;

  // Rows in the order of time: at each time those sequences that are so long, the longest first.
  std::vector<Eigen::Index> first_, alive_;  // rows of a time
  std::vector<Eigen::Index> place_;          // of each character
  std::vector<Eigen::Index> heard_;          // the places of those that are not silent
  std::vector<std::size_t> longest_;         // sequences, the longest first
  tokens characters_;
  matrix before_, hidden_, gates_, candidate_, products_, seen_, mask_, logits_;
  matrix seen_slope_, hidden_slope_, gate_slope_, product_slope_;
};

}  // namespace character_models

#endif
