#ifndef LIMBECK_TESTS_UNIT_TRAINER_TOY_HPP
#define LIMBECK_TESTS_UNIT_TRAINER_TOY_HPP

// What a user brings: data, a linear softmax model and two optimisers, none of which has heard of the library beyond
// `rows`, `progress` and `random_stream`.

#include <limbeck/core/random.hpp>
#include <limbeck/limbeck.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace toy {

namespace lk = limbeck;

constexpr std::size_t features = 4, classes = 3;

struct drawn {
  std::vector<double> inputs;
  std::vector<int> labels;
};

/// Three clouds of points, and noise on what is drawn where `noise` is not 0: a stream that a checkpoint has to keep.
struct clouds {
  std::vector<double> x;
  std::vector<int> y;
  double noise = 0;
  lk::random_stream random{99};

  explicit clouds(std::size_t n, std::uint64_t seed = 7, double spread = 1.0) {
    lk::random_stream r(seed);
    for (std::size_t i = 0; i < n; ++i) {
      y.push_back(static_cast<int>(i % classes));
      for (std::size_t f = 0; f < features; ++f) x.push_back((f == i % classes ? 2.0 : 0.0) + spread * r.normal());
    }
  }
  std::size_t size() const { return y.size(); }
  drawn batch_of(std::span<const std::size_t> rows) const {
    drawn b;
    for (const std::size_t r : rows) {
      b.inputs.insert(b.inputs.end(), x.data() + r * features, x.data() + (r + 1) * features);
      b.labels.push_back(y[r]);
    }
    return b;
  }
  drawn batch(std::span<const std::size_t> rows) {
    drawn b = batch_of(rows);
    if (noise > 0)
      for (double& v : b.inputs) v += noise * random.normal();
    return b;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("random", random);
  }
};

/// logits = x W + b.
class linear {
 public:
  explicit linear(std::uint64_t seed = 1) : weights_((features + 1) * classes), gradients_(weights_.size()) {
    lk::random_stream r(seed);
    for (double& w : weights_) w = 0.1 * r.normal();
  }
  lk::rows<const double> forward(const std::vector<double>& inputs) {
    inputs_ = inputs;
    const std::size_t n = inputs.size() / features;
    logits_.assign(n * classes, 0);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t c = 0; c < classes; ++c) {
        logits_[i * classes + c] = weights_[features * classes + c];
        for (std::size_t f = 0; f < features; ++f)
          logits_[i * classes + c] += inputs[i * features + f] * weights_[f * classes + c];
      }
    return {logits_.data(), n, classes};
  }
  void backward(lk::rows<const double> g) {
    for (std::size_t i = 0; i < g.samples; ++i)
      for (std::size_t c = 0; c < classes; ++c) {
        gradients_[features * classes + c] += g(i, c);
        for (std::size_t f = 0; f < features; ++f) gradients_[f * classes + c] += inputs_[i * features + f] * g(i, c);
      }
  }
  void zero_gradients() { gradients_.assign(gradients_.size(), 0); }
  std::vector<std::span<double>> parameters() {
    const std::size_t w = features * classes;
    return {std::span(weights_).first(w), std::span(weights_).subspan(w)};
  }
  const std::vector<double>& weights() const { return weights_; }
  const std::vector<double>& gradients() const { return gradients_; }
  std::vector<double>& gradients() { return gradients_; }
  void set(std::size_t i, double w) { weights_[i] = w; }

 private:
  std::vector<double> weights_, gradients_, inputs_, logits_;
};

struct sgd {
  void step(linear& model, lk::progress p) {
    std::size_t i = 0;
    const double rate = lk::cosine(0.5, 0.0)(p.fraction());
    for (const auto part : model.parameters())
      for (double& w : part) w -= rate * model.gradients()[i++];
  }
};

struct adam {
  double rate = 0.05;
  std::vector<double> first, second;
  std::uint64_t steps = 0;

  void step(linear& model, lk::progress p) {
    const auto& g = model.gradients();
    first.resize(g.size());
    second.resize(g.size());
    ++steps;
    const double n = static_cast<double>(steps);
    const double unbias = std::sqrt(1 - std::pow(0.999, n)) / (1 - std::pow(0.9, n));
    std::size_t i = 0;
    for (const auto part : model.parameters())
      for (double& w : part) {
        first[i] += 0.1 * (g[i] - first[i]);
        second[i] += 0.001 * (g[i] * g[i] - second[i]);
        w -= lk::cosine(rate, 0)(p.fraction()) * unbias * first[i] / (std::sqrt(second[i]) + 1e-8);
        ++i;
      }
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("steps", steps);
    archive("first", first);
    archive("second", second);
  }
};

/// A name in the temporary folder, removed before and after.
struct temporary {
  std::filesystem::path path;
  explicit temporary(const std::string& name) : path(std::filesystem::temp_directory_path() / ("limbeck_" + name)) {
    clear();
  }
  ~temporary() { clear(); }
  temporary(const temporary&) = delete;
  temporary& operator=(const temporary&) = delete;
  void clear() const {
    std::error_code e;
    std::filesystem::remove(path, e);
  }
};

/// Momentum, for any model that shows parameters and gradients.
struct momentum {
  double rate = 0.05;
  std::vector<double> velocity{};
  template <class Model>
  void step(Model& m, lk::progress) {
    std::size_t at = 0;
    auto&& gradients = m.gradients();
    auto g = gradients.begin();
    for (auto&& p : m.parameters()) {
      velocity.resize((std::max)(velocity.size(), at + p.size()));
      for (std::size_t i = 0; i < p.size(); ++i, ++at) p[i] -= rate * (velocity[at] = 0.9 * velocity[at] + (*g)[i]);
      ++g;
    }
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("velocity", velocity);
  }
};

}  // namespace toy

#endif
