#ifndef LIMBECK_FEW_STEP_DENOISER_HPP
#define LIMBECK_FEW_STEP_DENOISER_HPP

// A perceptron that sees a noised row, its time and, where there are classes, its class. Forward, both ways back and the
// derivative along a direction are written by hand: there is no autograd here.

#include "../common/mlp.hpp"

#include <limbeck/eigen.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace few_step {

using namespace examples;
namespace lk = limbeck;

/// What a network is asked: rows of samples, the time of each and, where there are classes, its class.
struct question {
  matrix x;
  std::vector<double> times;
  std::vector<int> classes;
};

/// dimensions + 8 features of time + classes -> width -> width -> width -> outputs, with SiLU between.
struct network_shape {
  int dimensions = 2, classes = 0, width = 64, hidden = 3, outputs = 2;
};

class denoiser {
 public:
  denoiser(const network_shape& shape, std::uint64_t seed);

  /// Predictions, rows x outputs, until the next call. What follows is about this call.
  const matrix& forward(const Eigen::Ref<const matrix>& x, std::span<const double> times, std::span<const int> classes);
  const matrix& forward(const question& q) { return forward(q.x, q.times, q.classes); }

  /// Adds to the gradients of the parameters, from that by the predictions.
  void backward(const matrix& gradient) { down(gradient, true); }
  /// The gradient by x, from that by the predictions; those of the parameters stay as they are.
  const matrix& by_input(const matrix& gradient);
  /// The derivative of the predictions where x moves by @p dx and time by @p dt.
  const matrix& along(const matrix& dx, std::span<const double> dt);

  void zero_gradients() { gradients_.setZero(); }
  std::vector<std::span<float>> parameters() { return {all(parameters_)}; }
  std::vector<std::span<float>> gradients() { return {all(gradients_)}; }
  const network_shape& shape() const { return shape_; }
  /// A checkpoint's.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("parameters", all(parameters_));
  }

 private:
  static constexpr int time_features = 8;
  static std::span<float> all(Eigen::ArrayXf& flat) { return {flat.data(), static_cast<std::size_t>(flat.size())}; }
  std::size_t layers() const { return widths_.size() - 1; }
  Eigen::Map<matrix> weight(Eigen::ArrayXf& flat, std::size_t l) const {
    return {flat.data() + offsets_[l], widths_[l], widths_[l + 1]};
  }
  Eigen::Map<Eigen::RowVectorXf> bias(Eigen::ArrayXf& flat, std::size_t l) const {
    return {flat.data() + offsets_[l] + widths_[l] * widths_[l + 1], widths_[l + 1]};
  }
  void down(const matrix& gradient, bool parameters);

  network_shape shape_;
  std::vector<int> widths_;
  std::vector<Eigen::Index> offsets_;
  Eigen::ArrayXf parameters_, gradients_;
  std::vector<matrix> inputs_, slopes_;  // of each layer; of each SiLU
  std::vector<double> times_;
  matrix out_, delta_, lower_, tangent_, next_, answer_;
};

/// A denoiser in the library's form, of rows of these classes: a callable of noised rows and times.
inline auto with_classes(denoiser& net, std::span<const int> classes) {
  return [&net, classes](const lk::rows<const float>& noisy, std::span<const double> times) -> const matrix& {
    const Eigen::Map<const matrix> x(noisy.row(0), static_cast<Eigen::Index>(noisy.samples),
                                     static_cast<Eigen::Index>(noisy.classes));
    return net.forward(x, times, classes);
  };
}

}  // namespace few_step

#endif
