// A student and a teacher whose logits are products that are never there, in the trainer.

#include "catch.hpp"
#include "stops.hpp"
#include "toy.hpp"

#include <limbeck/trainer.hpp>


namespace lk = limbeck;

namespace {

/// toy::linear, whose forward gives the head in the place of its logits.
class linear_head {
 public:
  explicit linear_head(std::uint64_t seed) : weights_(toy::linear(seed).weights()), gradients_(weights_.size()) {}
  auto forward(const std::vector<double>& x) {
    inputs_ = x;
    const lk::rows<const double> hidden(inputs_.data(), x.size() / toy::features, toy::features);
    return lk::logits_of(hidden, rows_of(weights_), std::span(std::as_const(weights_)).subspan(toy::features * toy::classes));
  }
  void backward(const lk::head_gradients& g) {
    const auto w = g.weights.rows<const double>();
    const auto b = g.bias.rows<const double>();
    for (std::size_t c = 0; c < toy::classes; ++c) {
      gradients_[toy::features * toy::classes + c] += b(0, c);
      for (std::size_t f = 0; f < toy::features; ++f) gradients_[f * toy::classes + c] += w(c, f);
    }
    seen = g.hidden.rows<const double>().samples;
  }
  void zero_gradients() { gradients_.assign(gradients_.size(), 0); }
  std::vector<std::span<double>> parameters() { return {std::span(weights_)}; }
  std::vector<double> weights_, gradients_;
  std::size_t seen = 0;

 private:
  static lk::rows<const double> rows_of(const std::vector<double>& w) {
    return lk::rows<const double>(w.data(), toy::features, toy::classes).transposed();
  }
  std::vector<double> inputs_;
};

struct descent {
  template <class Model>
  void step(Model& m, lk::progress) {
    const std::vector<double>* g;
    if constexpr (requires { m.gradients_; }) {
      g = &m.gradients_;
    } else {
      g = &m.gradients();
    }
    std::size_t i = 0;
    for (const auto part : m.parameters())
      for (double& w : part) w -= 0.3 * (*g)[i++];
  }
};

using toy::stops_at;

std::vector<double> heads(const lk::fit_settings& how, std::uint64_t stop = 0) {
  toy::clouds data(60);
  linear_head student(1);
  lk::trainer trainer{student, linear_head(5), 0.4 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{}), descent{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(trainer.fit(data, how, stops_at{stop}), "the machine is gone");
  } else {
    trainer.fit(data, how);
  }
  return student.weights_;
}
std::vector<double> logits(const lk::fit_settings& how) {
  toy::clouds data(60);
  toy::linear student(1);
  lk::trainer trainer{student, toy::linear(5), 0.4 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{}), descent{}};
  trainer.fit(data, how);
  return student.weights();
}
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return a.size() == b.size() ? most : 1;
}

}  // namespace

TEST_CASE("a student whose logits are a product trains like one that writes them out", "[trainer][heads]") {
  const auto expected = logits({.epochs = 4, .batch = 20});
  CHECK(distance(expected, linear_head(1).weights_) > 0.1);
  CHECK(distance(heads({.epochs = 4, .batch = 20}), expected) < 1e-12);
  CHECK(distance(heads({.epochs = 4, .batch = 20, .micro_batch = 7}), expected) < 1e-12);
}

TEST_CASE("a run of heads goes on bit for bit", "[trainer][heads][resume]") {
  const toy::temporary file("heads.ckpt");
  lk::fit_settings how{.epochs = 3, .batch = 16};
  const auto straight = heads(how);
  how.checkpoint = file.path;
  how.checkpoint_every = 1;
  (void)heads(how, 4);
  CHECK(heads(how) == straight);
}
