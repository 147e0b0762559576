#ifndef LIMBECK_LOSS_FEATURES_PROJECTION_HPP
#define LIMBECK_LOSS_FEATURES_PROJECTION_HPP

/// @file
/// A learned affine map with its gradients: the projection from the student's features to the teacher's.

#include <limbeck/core/random.hpp>
#include <limbeck/engine/batch.hpp>
#include <limbeck/loss/support.hpp>
#include <limbeck/map/learned.hpp>

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

namespace detail {

template <class T>
struct add_bias_row {
  rows<T> y;
  const T* bias;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    add_to_row(team, y, r, [&](std::size_t c) { return bias[c]; });
  }
};
/// Adds sums over the rows to a bias, or rows to others, unless the loss that they are for has turned out not to be finite.
template <class T, class Number>
struct add_column_if_finite {
  rows<const T> slope;
  T* bias;
  Number loss;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t c) const {
    const double value = loss.value();
    if (value - value != 0) return;
    const T total = sum_own<T, T>(team, slope.samples, [&](std::size_t r) { return slope(r, c); });
    if (team.rank() == 0) bias[c] += total;
  }
};
template <class T, class Number>
struct add_row_if_finite {
  rows<T> from, to;
  Number loss;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const double value = loss.value();
    if (value - value == 0) for_own<T>(team, to.classes, [&](std::size_t c) { to(r, c) += from(r, c); });
  }
};

}  // namespace detail

/// y = W x + b, W of outputs x inputs (one row an output), with the gradients of both. @p T is `float` or `double`.
///
/// It belongs to the caller, who hands `parameters()` and `gradients()` to an optimiser and calls `zero_gradients()`
/// between steps; losses hold it by address and *add* to its gradients. Weights depend on the seed alone; b starts at
/// 0. With `device_memory` for @p Memory it lives on a device, beside the features; it is zeroed and saved on the default
/// stream.
template <class T, class Memory = host_rows>
class projection {
  using place = batch_memory<Memory>;
  using storage = typename place::template storage<T>;

 public:
  using scalar = T;       ///< of weights, gradients and features
  using memory = Memory;  ///< in which they live
  static constexpr const char* name = "projection";  ///< in messages

  /// @p initial is `he{.seed = 1}` or `xavier{.seed = 1}`. @throws shape_error where a size is 0.
  template <class Initial = he>
  projection(std::size_t inputs, std::size_t outputs, const Initial& initial = {})
      : inputs_(inputs), bias_(outputs), weight_gradients_(inputs * outputs), bias_gradients_(outputs) {
    std::vector<T> weights(inputs * outputs);
    if (weights.empty())
      raise<shape_error>("limbeck: projection has " + std::to_string(inputs) + " inputs and " + std::to_string(outputs) +
                         " outputs, expected at least 1 of both");
    random_stream random(initial.seed);
    const double deviation = initial.deviation(inputs, outputs);
    for (T& w : weights) w = static_cast<T>(deviation * random.normal());
    weights_ = storage(weights.begin(), weights.end());
  }

  std::size_t inputs() const { return inputs_; }         ///< columns that it takes
  std::size_t outputs() const { return bias_.size(); }   ///< columns that it gives
  /// Weights, then bias.
  auto parameters() { return std::array{place::view(weights_), place::view(bias_)}; }
  /// Their gradients, in the same order.
  auto gradients() { return std::array{place::view(weight_gradients_), place::view(bias_gradients_)}; }
  /// Sets the gradients to 0; on a device on the default stream, or in the order of a workspace's.
  template <class... Workspace>
  void zero_gradients(const Workspace&... ws) {
    for (storage* const g : {&weight_gradients_, &bias_gradients_}) place::clear(*g, ws...);
  }

  /// @p y = @p x W^T + b, samples x outputs from samples x inputs. One product.
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    in.multiply(T(1), x, weights().transposed(), T(0), y);
    in.each_row(y.samples, y.classes, detail::add_bias_row<T>{y, place::address(bias_)});
  }
  /// Adds to the gradients what @p slope, the derivative with respect to y, says of W and b; and to @p x_gradient what
  /// it says of x, where that has data. Two products. On a device, whose host does not know it yet, @p loss has to be
  /// finite, or nothing is added to the gradients of W and b.
  void pull_back(const rows<const T>& x, const rows<const T>& slope, const rows<T>& x_gradient, const batch<T, Memory>& in,
                 [[maybe_unused]] const batch_number<Memory>& loss = 0) {
    T* const bias = place::address(bias_gradients_);
    const rows<T> of_weights(place::address(weight_gradients_), outputs(), inputs_);
    if constexpr (batch<T, Memory>::on_host) {
      in.multiply(T(1), slope.transposed(), x, T(1), of_weights);
      for (std::size_t r = 0; r < slope.samples; ++r)
        for (std::size_t c = 0; c < slope.classes; ++c) bias[c] += slope(r, c);
    } else {
      using number = batch_number<Memory>;
      const rows<T> sums(in.memory.template take<T>(outputs() * inputs_).data(), outputs(), inputs_);
      in.multiply(T(1), slope.transposed(), x, T(0), sums);
      in.each_row(outputs(), inputs_, detail::add_row_if_finite<T, number>{sums, of_weights, loss});
      in.each_row(outputs(), slope.samples, detail::add_column_if_finite<T, number>{slope, bias, loss});
    }
    pull_back_input(slope, x_gradient, in);
  }
  /// Of these what it says of x alone. One product.
  void pull_back_input(const rows<const T>& slope, const rows<T>& x_gradient, const batch<T, Memory>& in) const {
    if (x_gradient.data != nullptr) in.multiply(T(1), slope, weights(), T(1), x_gradient);
  }
  /// What refers to it, for `through`, `then` and `at_positions`; `frozen(p)` where it stays as it is.
  learned_map<projection> as_map() { return {this}; }

  /// Saves or restores weights and bias.
  template <class Archive>
  void serialize(Archive& archive) {
    place::serialize(archive, "weights", weights_);
    place::serialize(archive, "bias", bias_);
  }

 private:
  rows<const T> weights() const { return {place::address(weights_), bias_.size(), inputs_}; }

  std::size_t inputs_;
  storage weights_, bias_, weight_gradients_, bias_gradients_;
};

LIMBECK_END_NAMESPACE

#endif
