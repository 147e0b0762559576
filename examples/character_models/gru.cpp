#include "gru.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace character_models {
namespace {
template <class X>
auto sigmoid(const X& x) {
  return 0.5F + 0.5F * (0.5F * x).tanh();
}
using index = Eigen::Index;
index of(std::size_t n) { return static_cast<index>(n); }
}  // namespace

gru::gru(std::size_t alphabet, std::size_t width, std::uint64_t seed, double dropout)
    : alphabet_(alphabet), width_(width), dropout_(static_cast<float>(dropout)), random_(seed) {
  parameters_ = gradients_ = Eigen::ArrayXf::Zero(of(3 * width * (alphabet + width) + (width + 1) * alphabet + width));
  weights w = in(parameters_);
  const auto fill = [&](auto& part, double deviation) {
    for (float& x : part.reshaped()) x = static_cast<float>(deviation * random_.normal());
  };
  fill(w.inputs, 0.3);
  fill(w.recurrent, 1 / std::sqrt(static_cast<double>(width)));
  fill(w.outputs, 1 / std::sqrt(static_cast<double>(width)));
}

gru::weights gru::in(Eigen::ArrayXf& flat) const {
  const index v = of(alphabet_), h = of(width_);
  float* at = flat.data();
  const auto next = [&](index size) { return std::exchange(at, at + size); };
  float *const e = next(v * 3 * h), *const u = next(h * 3 * h), *const w = next(h * v), *const a = next(v), *const b = next(h);
  return {{e, v, 3 * h}, {u, h, 3 * h}, {w, h, v}, {a, v}, {b, h}};
}

void gru::arrange(const lk::segments& where) {
  longest_.resize(where.size());
  std::iota(longest_.begin(), longest_.end(), std::size_t{0});
  std::stable_sort(longest_.begin(), longest_.end(),
                   [&](std::size_t a, std::size_t b) { return where.length(a) > where.length(b); });
  first_.clear(), alive_.clear();
  place_.resize(where.rows());
  index row = 0;
  for (std::size_t t = 0;; ++t) {
    index n = 0;
    while (n < std::ssize(longest_) && where.length(longest_[static_cast<std::size_t>(n)]) > t) {
      place_[where.begin(longest_[static_cast<std::size_t>(n)]) + t] = row + n;
      ++n;
    }
    if (n == 0) break;
    first_.push_back(row), alive_.push_back(n);
    row += n;
  }
}

const matrix& gru::forward(const passages& x) {
  matrix zeros = matrix::Zero(of(x.where.size()), of(width_));
  return forward(x, zeros);
}

const matrix& gru::forward(const lk::rollouts& x) {
  passages read;
  std::vector<std::size_t> lengths;
  for (std::size_t s = 0; s < x.size(); ++s) {
    const auto but_the_last = x[s].first(x[s].size() - 1);
    read.characters.insert(read.characters.end(), but_the_last.begin(), but_the_last.end());
    lengths.push_back(but_the_last.size());
    read.silent.push_back(x.prompts[s] - 1);
  }
  read.where = lk::segments::of_lengths(lengths);
  return forward(read);
}

const matrix& gru::forward(const passages& x, matrix& states) {
  const index h = of(width_), rows = of(x.where.rows());
  const weights w = in(parameters_);
  arrange(x.where);
  characters_ = x.characters;
  before_.resize(rows, h), hidden_.resize(rows, h), candidate_.resize(rows, h), gates_.resize(rows, 3 * h);
  for (std::size_t r = 0; r < characters_.size(); ++r) gates_.row(place_[r]) = w.inputs.row(characters_[r]);
  for (std::size_t t = 0; t < first_.size(); ++t) {
    const index at = first_[t], n = alive_[t];
    if (t == 0)
      for (index i = 0; i < n; ++i) before_.row(i) = states.row(of(longest_[static_cast<std::size_t>(i)]));
    else
      before_.middleRows(at, n) = hidden_.middleRows(first_[t - 1], n);
    const auto past = before_.middleRows(at, n);
    products_.resize(n, 3 * h);
    products_.noalias() = past * w.recurrent;
    for (index i = 0; i < n; ++i) {
      auto gate = gates_.row(at + i).array();
      auto r = gate.head(h), z = gate.segment(h, h), c = gate.tail(h);
      const auto product = products_.row(i).array();
      gate.head(2 * h) = sigmoid((gate.head(2 * h) + product.head(2 * h)).eval());
      auto inner = candidate_.row(at + i).array();
      inner = product.tail(h) + w.candidate_bias.array();
      c = (c + r * inner).tanh();
      hidden_.row(at + i).array() = c + z * (past.row(i).array() - c);
    }
  }
  heard_.clear();
  for (std::size_t s = 0; s < x.where.size(); ++s) {
    if (x.where.length(s) > 0) states.row(of(s)) = state(x.where.end(s) - 1);
    const auto from = place_.begin() + of(x.where.begin(s) + (x.silent.empty() ? 0 : x.silent[s]));
    heard_.insert(heard_.end(), from, place_.begin() + of(x.where.end(s)));
  }
  seen_.resize(std::ssize(heard_), h);
  for (std::size_t r = 0; r < heard_.size(); ++r) seen_.row(of(r)) = hidden_.row(heard_[r]);
  if (training_ && dropout_ > 0) {
    lk::random_stream random = random_.split(drops_++);
    mask_.resize(seen_.rows(), h);
    for (float& m : mask_.reshaped()) m = random.uniform() < dropout_ ? 0.0F : 1 / (1 - dropout_);
    seen_ = seen_.cwiseProduct(mask_);
  }
  logits_.resize(seen_.rows(), of(alphabet_));
  logits_.noalias() = seen_ * w.outputs;
  logits_.rowwise() += w.output_bias;
  return logits_;
}

void gru::backward(const matrix& slope) {
  const index h = of(width_), rows = hidden_.rows();
  weights w = in(parameters_), g = in(gradients_);
  g.outputs.noalias() += seen_.transpose() * slope;
  g.output_bias += slope.colwise().sum();
  seen_slope_.resize(seen_.rows(), h);
  seen_slope_.noalias() = slope * w.outputs.transpose();
  if (training_ && dropout_ > 0) seen_slope_ = seen_slope_.cwiseProduct(mask_);
  hidden_slope_ = matrix::Zero(rows, h);
  for (std::size_t r = 0; r < heard_.size(); ++r) hidden_slope_.row(heard_[r]) = seen_slope_.row(of(r));

  gate_slope_.resize(rows, 3 * h), product_slope_.resize(rows, 3 * h);
  for (std::size_t t = first_.size(); t-- > 0;) {
    const index at = first_[t], n = alive_[t];
    for (index i = at; i < at + n; ++i) {
      const auto gate = gates_.row(i).array();
      const auto r = gate.head(h), z = gate.segment(h, h), c = gate.tail(h);
      auto dh = hidden_slope_.row(i).array();
      auto d = gate_slope_.row(i).array();
      d.tail(h) = dh * (1.0F - z) * (1.0F - c * c);
      d.segment(h, h) = dh * (before_.row(i).array() - c) * z * (1.0F - z);
      d.head(h) = d.tail(h) * candidate_.row(i).array() * r * (1.0F - r);
      product_slope_.row(i).array().head(2 * h) = d.head(2 * h);
      product_slope_.row(i).array().tail(h) = d.tail(h) * r;
      dh *= z;  // what reaches h directly
    }
    if (t == 0) break;
    auto earlier = hidden_slope_.middleRows(first_[t - 1], n);
    earlier += hidden_slope_.middleRows(at, n);
    earlier.noalias() += product_slope_.middleRows(at, n) * w.recurrent.transpose();
  }
  g.recurrent.noalias() += before_.transpose() * product_slope_;
  g.candidate_bias += product_slope_.rightCols(h).colwise().sum();
  for (std::size_t r = 0; r < place_.size(); ++r) g.inputs.row(characters_[r]) += gate_slope_.row(place_[r]);
}

}  // namespace character_models
