#include "mlp.hpp"

#include <cmath>
#include <random>

namespace examples {

mlp::mlp(std::vector<int> widths, std::uint64_t seed) : widths_(std::move(widths)), outputs_(layers()) {
  Eigen::Index size = 0;
  for (std::size_t l = 0; l < layers(); ++l) {
    offsets_.push_back(size);
    size += (widths_[l] + 1) * widths_[l + 1];
  }
  parameters_ = gradients_ = Eigen::ArrayXf::Zero(size);

  std::mt19937_64 random(seed);  // He's initialisation: variance 2 / inputs; biases start at zero
  for (std::size_t l = 0; l < layers(); ++l) {
    std::normal_distribution<float> normal(0.0F, std::sqrt(2.0F / static_cast<float>(widths_[l])));
    for (float& w : weight(parameters_, l).reshaped()) w = normal(random);
  }
}

const matrix& mlp::forward(const Eigen::Ref<const matrix>& x) {
  inputs_ = x;
  for (std::size_t l = 0; l < layers(); ++l) {
    outputs_[l].resize(x.rows(), widths_[l + 1]);
    outputs_[l].noalias() = below(l) * weight(parameters_, l);
    outputs_[l].rowwise() += bias(parameters_, l);
    if (l + 1 < layers()) outputs_[l] = outputs_[l].cwiseMax(0.0F);
  }
  return outputs_.back();
}

void mlp::backward(const matrix& logits_gradient, const std::vector<hidden_gradient>& at_hidden) {
  delta_ = logits_gradient;
  for (std::size_t l = layers(); l-- > 0;) {
    weight(gradients_, l).noalias() += below(l).transpose() * delta_;
    bias(gradients_, l) += delta_.colwise().sum();
    if (l == 0) break;
    lower_.noalias() = delta_ * weight(parameters_, l).transpose();
    for (const hidden_gradient& h : at_hidden)
      if (h.layer == l - 1) lower_ += h.gradient;
    delta_ = (outputs_[l - 1].array() > 0.0F).select(lower_, 0.0F);  // where ReLU was open
  }
}

const matrix& mlp::input_gradient() {
  lower_.noalias() = delta_ * weight(parameters_, 0).transpose();
  return lower_;
}

std::vector<std::span<float>> mlp::spans(Eigen::ArrayXf& flat) const {
  std::vector<std::span<float>> parts;
  for (std::size_t l = 0; l < layers(); ++l) {
    auto w = weight(flat, l);
    auto b = bias(flat, l);
    parts.emplace_back(w.data(), static_cast<std::size_t>(w.size()));
    parts.emplace_back(b.data(), static_cast<std::size_t>(b.size()));
  }
  return parts;
}

}  // namespace examples
