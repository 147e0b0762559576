// A student and a teacher whose logits are of 16 bits, in the trainer.

#include "catch.hpp"
#include "toy.hpp"

#include <limbeck/trainer.hpp>

namespace lk = limbeck;

namespace {

/// A linear model that hands its logits on in T, and takes their gradient as it comes.
template <class T>
class rounded {
 public:
  explicit rounded(std::uint64_t seed) : inner_(seed) {}
  lk::rows<const T> forward(const std::vector<double>& inputs) {
    const auto exact = inner_.forward(inputs);
    logits_.clear();
    for (std::size_t i = 0; i < exact.samples * exact.classes; ++i) logits_.push_back(T(static_cast<float>(exact.data[i])));
    return {logits_.data(), exact.samples, exact.classes};
  }
  template <class Gradient>
  void backward(const Gradient& g) {
    std::vector<double> wide;
    for (std::size_t r = 0; r < g.samples; ++r)
      for (std::size_t c = 0; c < g.classes; ++c) wide.push_back(static_cast<double>(g(r, c)));
    inner_.backward({wide.data(), g.samples, g.classes});
  }
  void zero_gradients() { inner_.zero_gradients(); }
  toy::linear& inner() { return inner_; }

 private:
  toy::linear inner_;
  std::vector<T> logits_;
};

struct step_inside {
  toy::sgd sgd;
  template <class T>
  void step(rounded<T>& model, lk::progress p) {
    sgd.step(model.inner(), p);
  }
};

template <class T>
auto run() {
  toy::clouds train(150), test(60, 8);
  rounded<T> student(1), teacher(3);
  lk::trainer{teacher, lk::no_teacher{}, lk::cross_entropy{}, step_inside{}}.fit(train, {.epochs = 10, .batch = 50});
  lk::trainer trainer{student, teacher, lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{}), step_inside{}};
  const auto result = trainer.fit(train, {.epochs = 10, .batch = 50, .micro_batch = 20}, lk::validation(student, test));
  return std::pair(result, student.inner().weights());
}

}  // namespace

TEMPLATE_TEST_CASE("trainer: logits of 16 bits are learnt from", "[trainer][halves]", lk::float16, lk::bfloat16) {
  const auto [result, weights] = run<TestType>();
  const auto [expected, in_float] = run<float>();
  CHECK(result.steps == expected.steps);
  CHECK(result.metrics["accuracy"] == Approx(expected.metrics["accuracy"]).margin(0.04));
  for (std::size_t i = 0; i < weights.size(); ++i) CHECK(weights[i] == Approx(in_float[i]).margin(0.05));
}
