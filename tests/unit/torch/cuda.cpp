// LibTorch's tensors in the memory of Thrust's device, which is the CPU's here: what a GPU runs, against the host's sweep.

#include "torch_and_catch.hpp"

#if LIMBECK_TEST_THRUST
#include <limbeck/torch_cuda.hpp>

namespace lk = limbeck;

TEST_CASE("torch: a torch_workspace runs a call where the student lives", "[torch][thrust]") {
  torch::manual_seed(5);
  const auto type = GENERATE(torch::kFloat, torch::kDouble, torch::kBFloat16);
  const torch::Tensor student = torch::randn({3, 4, 20}, type).requires_grad_(true), teacher = torch::randn({12, 20}, type);
  const torch::Tensor labels = torch::randint(20, {3, 4}, torch::kLong), weights = torch::rand({12});
  const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});
  const double close = type == torch::kDouble ? 1e-12 : type == torch::kFloat ? 1e-6 : 1e-2;
  const auto same = [&](const torch::Tensor& a, const torch::Tensor& b) { return torch::allclose(a, b, close, close); };

  lk::workspace host;
  const torch::Tensor expected = lk::differentiable(objective, student, teacher, labels, lk::row_weights(weights), host);
  const torch::Tensor slope = torch::autograd::grad({2 * expected}, {student})[0];
  lk::torch_workspace ws;
  const torch::Tensor loss = lk::differentiable(objective, student, teacher, labels, lk::row_weights(weights), ws);
  CHECK(ws.on_host().size() == 0);
  CHECK(ws.on_device(student.device()).size() > 0);
  CHECK(loss.scalar_type() == type);
  CHECK(same(loss, expected));
  CHECK(same(torch::autograd::grad({2 * loss}, {student})[0], slope));

  torch::Tensor gradient = torch::zeros_like(student, torch::TensorOptions().requires_grad(false));
  CHECK(objective(student, teacher, labels, lk::row_weights(weights), lk::into(gradient), ws).loss ==
        Approx(expected.item<double>()).epsilon(close));
  CHECK(same(2 * gradient, slope));

  // nobody waits
  lk::device_result later;
  const torch::Tensor left =
      lk::differentiable(objective, student, teacher, labels, lk::row_weights(weights), ws, lk::deferred(later));
  CHECK(same(left, expected));
  CHECK(same(torch::autograd::grad({2 * left}, {student})[0], slope));
  CHECK(later.get().rows == 12);
  const torch::NoGradGuard none;
  const torch::Tensor value =
      lk::differentiable(objective, student, teacher, labels, lk::row_weights(weights), ws, lk::deferred(later));
  CHECK(same(value, expected));
  CHECK(!value.requires_grad());
}

TEST_CASE("torch: heads run where their hidden states live", "[torch][thrust]") {
  torch::manual_seed(6);
  const torch::Tensor hidden = torch::randn({3, 4, 5}).requires_grad_(true), weights = torch::randn({9, 5}).requires_grad_(true);
  const torch::Tensor bias = torch::randn({9}).requires_grad_(true), labels = torch::randint(9, {3, 4}, torch::kLong);
  labels[0][1] = -100;
  const lk::objective ce{lk::cross_entropy{}};
  const torch::Tensor logits = torch::matmul(hidden, weights.t()) + bias;
  const torch::Tensor expected = torch::nn::functional::cross_entropy(logits.view({12, 9}), labels.view({12}));
  const auto slopes = torch::autograd::grad({expected}, {hidden, weights, bias});
  lk::torch_workspace ws;
  lk::device_result later;
  const torch::Tensor loss = lk::differentiable(ce, lk::logits_of(hidden, weights, bias), labels, ws);
  const torch::Tensor left = lk::differentiable(ce, lk::logits_of(hidden, weights, bias), labels, ws, lk::deferred(later));
  CHECK(ws.on_host().size() == 0);
  for (const auto& l : {loss, left}) {
    CHECK(torch::allclose(l, expected, 1e-5, 1e-6));
    const auto mine = torch::autograd::grad({l}, {hidden, weights, bias});
    for (std::size_t i = 0; i < 3; ++i) CHECK(torch::allclose(mine[i], slopes[i], 1e-4, 1e-6));
  }
}
#endif
