#ifndef LIMBECK_LAYERS_LAYER_MIXER_HPP
#define LIMBECK_LAYERS_LAYER_MIXER_HPP

/// @file
/// Learned mixtures of a model's layers.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <array>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// z_i = sum_j W_ij h_j: as many mixtures as wanted of k layers of one shape, with W learned and its gradients. @p T is
/// `float` or `double`.
///
/// A part of the student, which calls `forward` at the end of its own, returns the mixtures as an output, and begins its
/// `backward` with this one; `parameters()` and `gradients()` go beside its own. Runs on the host, in one order.
///
/// Xue et al., Stare at What You See: Masked Image Modeling without Reconstruction, 2023, arXiv:2211.08887 (MaskAlign's dynamic
/// alignment), and their code: one mixture for each layer of the teacher, W starting at 1 + 0.01 on the diagonal and 0.01
/// elsewhere (`near_identity`) or, for other numbers, at 1/k.
template <class T>
class layer_mixer {
 public:
  using scalar = T;  ///< of W and of the layers

  /// @p mixtures of @p layers, all of them means. @throws shape_error where one is 0.
  layer_mixer(std::size_t mixtures, std::size_t layers)
      : mixtures_(mixtures), layers_(layers), weights_(mixtures * layers), gradients_(weights_.size()) {
    if (weights_.empty())
      raise<shape_error>("limbeck: layer_mixer has " + std::to_string(mixtures) + " mixtures of " + std::to_string(layers) +
                         " layers, expected at least 1 of both");
    for (T& w : weights_) w = T(1) / static_cast<T>(layers);
  }
  /// As many mixtures as layers, each of which is nearly its layer.
  static layer_mixer near_identity(std::size_t layers) {
    layer_mixer mixer(layers, layers);
    for (std::size_t i = 0; i < layers; ++i)
      for (std::size_t j = 0; j < layers; ++j) mixer.weights_[i * layers + j] = static_cast<T>((i == j) + 0.01);
    return mixer;
  }

  /// W, a row a mixture.
  std::array<std::span<T>, 1> parameters() { return {std::span<T>(weights_)}; }
  /// Its gradient.
  std::array<std::span<T>, 1> gradients() { return {std::span<T>(gradients_)}; }
  /// Sets the gradient to 0.
  void zero_gradients() { gradients_.assign(gradients_.size(), T(0)); }

  /// The mixtures of @p layers, a list of tensors of T: views that live until the next `forward`. The layers are looked at again
  /// by `backward`. @throws shape_error where their number is not k, or their shapes differ.
  template <class Layers>
  const std::vector<rows<const T>>& forward(const Layers& layers) {
    if (layers.size() != layers_)
      raise<shape_error>("limbeck: layer_mixer is of " + std::to_string(layers_) + " layers and was given " +
                         std::to_string(layers.size()));
    inputs_.clear();
    for (std::size_t j = 0; j < layers_; ++j) {
      inputs_.push_back(view(layers[j]));
      if (inputs_[j].samples != inputs_[0].samples || inputs_[j].classes != inputs_[0].classes)
        detail::throw_shape("layer " + std::to_string(j), inputs_[j].samples, inputs_[j].classes, inputs_[0].samples,
                            inputs_[0].classes);
    }
    const std::size_t n = inputs_[0].samples, m = inputs_[0].classes;
    memory_.assign(mixtures_ * n * m, T(0));
    mixed_.clear();
    for (std::size_t i = 0; i < mixtures_; ++i) {
      const rows<T> z(memory_.data() + i * n * m, n, m);
      for (std::size_t j = 0; j < layers_; ++j) add(z, weights_[i * layers_ + j], inputs_[j]);
      mixed_.emplace_back(z.data, n, m);
    }
    return mixed_;
  }
  /// Adds to the gradient of W, and, W transposed, to @p layer_gradients, a list of k tensors: they are added to; zero them
  /// first. @p slopes are the derivatives by the mixtures of the last `forward`. @throws shape_error where a number or a
  /// shape differs; nothing has been added then.
  template <class Slopes, class Gradients>
  void backward(const Slopes& slopes, Gradients&& layer_gradients) {
    if (slopes.size() != mixtures_ || layer_gradients.size() != layers_ || inputs_.size() != layers_)
      raise<shape_error>("limbeck: backward of a layer_mixer of " + std::to_string(mixtures_) + " mixtures and " +
                         std::to_string(layers_) + " layers was given " + std::to_string(slopes.size()) + " slopes and " +
                         std::to_string(layer_gradients.size()) + " gradients, after a forward of " +
                         std::to_string(inputs_.size()) + " layers");
    for (std::size_t i = 0; i < mixtures_; ++i) check(view(slopes[i]), "slope", i);
    for (std::size_t j = 0; j < layers_; ++j) check(view(layer_gradients[j]), "gradient", j);
    for (std::size_t i = 0; i < mixtures_; ++i) {
      const rows<const T> slope = view(slopes[i]);
      for (std::size_t j = 0; j < layers_; ++j) {
        const rows<T> to = tensor_traits<std::remove_cvref_t<decltype(layer_gradients[j])>>::view(layer_gradients[j]);
        add(to, weights_[i * layers_ + j], slope);
        double total = 0;
        for (std::size_t r = 0; r < slope.samples; ++r)
          for (std::size_t c = 0; c < slope.classes; ++c)
            total += static_cast<double>(slope(r, c)) * static_cast<double>(inputs_[j](r, c));
        gradients_[i * layers_ + j] += static_cast<T>(total);
      }
    }
  }

  /// Saves or restores W.
  template <class Archive>
  void serialize(Archive& archive) {
    std::span<T> all(weights_);
    archive("weights", all);
  }

 private:
  template <class X>
  static rows<const T> view(const X& x) {
    constexpr bool same = std::is_same_v<typename tensor_traits<X>::scalar, T>;
    static_assert(same, "limbeck: a layer_mixer has another scalar type than its layers; float goes with float, double with double");
    if constexpr (same) return tensor_traits<X>::view(x);
    else return {};
  }
  template <class U>
  static void add(const rows<T>& to, T by, const rows<U>& x) {
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) to(r, c) += by * x(r, c);
  }
  template <class U>
  void check(const rows<U>& x, const char* what, std::size_t i) const {
    if (x.samples != inputs_[0].samples || x.classes != inputs_[0].classes)
      detail::throw_shape(what + (' ' + std::to_string(i)), x.samples, x.classes, inputs_[0].samples, inputs_[0].classes);
  }
  std::size_t mixtures_, layers_;
  std::vector<T> weights_, gradients_, memory_;
  std::vector<rows<const T>> inputs_, mixed_;
};

LIMBECK_END_NAMESPACE

#endif
