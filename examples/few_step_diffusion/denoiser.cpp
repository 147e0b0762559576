#include "denoiser.hpp"

#include <limbeck/core/random.hpp>

#include <cmath>

namespace few_step {

denoiser::denoiser(const network_shape& shape, std::uint64_t seed) : shape_(shape) {
  widths_.push_back(shape.dimensions + time_features + shape.classes);
  widths_.insert(widths_.end(), static_cast<std::size_t>(shape.hidden), shape.width);
  widths_.push_back(shape.outputs);
  Eigen::Index size = 0;
  for (std::size_t l = 0; l < layers(); ++l) {
    offsets_.push_back(size);
    size += (widths_[l] + 1) * widths_[l + 1];
  }
  parameters_ = gradients_ = Eigen::ArrayXf::Zero(size);
  lk::random_stream random(seed);
  for (std::size_t l = 0; l < layers(); ++l) {
    const double deviation = std::sqrt((l + 1 < layers() ? 2.0 : 0.1) / widths_[l]);
    for (float& w : weight(parameters_, l).reshaped()) w = static_cast<float>(deviation * random.normal());
  }
  inputs_.resize(layers());
  slopes_.resize(layers() - 1);
}

const matrix& denoiser::forward(const Eigen::Ref<const matrix>& x, std::span<const double> times, std::span<const int> classes) {
  const int d = shape_.dimensions;
  times_.assign(times.begin(), times.end());
  matrix& first = inputs_[0];
  first.setZero(x.rows(), widths_[0]);
  first.leftCols(d) = x;
  for (Eigen::Index r = 0; r < x.rows(); ++r) {
    const auto row = static_cast<std::size_t>(r);
    for (int k = 0; k < time_features / 2; ++k) {  // frequencies 1, 2, 3, 4: what sCM's derivative by time can bear
      first(r, d + 2 * k) = static_cast<float>(std::cos((k + 1) * times[row]));
      first(r, d + 2 * k + 1) = static_cast<float>(std::sin((k + 1) * times[row]));
    }
    if (shape_.classes > 0) first(r, d + time_features + classes[row]) = 1;
  }
  for (std::size_t l = 0; l < layers(); ++l) {
    const bool last = l + 1 == layers();
    matrix& to = last ? out_ : inputs_[l + 1];
    to.resize(x.rows(), widths_[l + 1]);
    to.noalias() = inputs_[l] * weight(parameters_, l);
    to.rowwise() += bias(parameters_, l);
    if (last) break;
    matrix& slope = slopes_[l];  // SiLU: a s with s = 1/(1 + exp(-a)); its slope is s + a s (1 - s)
    slope = (1 + (-to.array()).exp()).inverse().matrix();
    slope.array() += to.array() * slope.array() * (1 - slope.array());
    to.array() *= (1 + (-to.array()).exp()).inverse();
  }
  return out_;
}

void denoiser::down(const matrix& gradient, bool parameters) {
  delta_ = gradient;
  for (std::size_t l = layers(); l-- > 0;) {
    if (parameters) {
      weight(gradients_, l).noalias() += inputs_[l].transpose() * delta_;
      bias(gradients_, l) += delta_.colwise().sum();
    }
    if (l == 0) break;
    lower_.noalias() = delta_ * weight(parameters_, l).transpose();
    delta_ = lower_.cwiseProduct(slopes_[l - 1]);
  }
}

const matrix& denoiser::by_input(const matrix& gradient) {
  down(gradient, false);
  answer_.noalias() = delta_ * weight(parameters_, 0).topRows(shape_.dimensions).transpose();
  return answer_;
}

const matrix& denoiser::along(const matrix& dx, std::span<const double> dt) {
  const int d = shape_.dimensions;
  tangent_.setZero(dx.rows(), widths_[0]);
  tangent_.leftCols(d) = dx;
  for (Eigen::Index r = 0; r < dx.rows(); ++r)
    for (int k = 0; k < time_features / 2; ++k) {
      const double t = times_[static_cast<std::size_t>(r)], moved = (k + 1) * dt[static_cast<std::size_t>(r)];
      tangent_(r, d + 2 * k) = static_cast<float>(-moved * std::sin((k + 1) * t));
      tangent_(r, d + 2 * k + 1) = static_cast<float>(moved * std::cos((k + 1) * t));
    }
  for (std::size_t l = 0; l < layers(); ++l) {
    next_.noalias() = tangent_ * weight(parameters_, l);
    if (l + 1 < layers()) next_.array() *= slopes_[l].array();
    tangent_.swap(next_);
  }
  return tangent_;
}

}  // namespace few_step
