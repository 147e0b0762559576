// The adapters of modules and optimisers by themselves: what they ask of torch, and what they leave as it was.

#include "networks.hpp"

#include <limbeck/averaging/averager.hpp>
#include <limbeck/trainer/modes.hpp>

#include <torch/script.h>

using Catch::Matchers::Contains;

static_assert(lk::has_modes<lk::torch_module<torch::nn::Sequential&>> && lk::serializable<lk::torch_module<network&>>);
static_assert(!lk::serializable<lk::torch_teacher<network&>>);
static_assert(lk::student<lk::torch_module<torch::nn::Sequential&>, torch::Tensor> && lk::student<lk::torch_module<network>, torch::Tensor>);
static_assert(lk::teacher<lk::torch_teacher<torch::jit::Module&>, lk::torch_batch>);
static_assert(lk::optimizer<lk::torch_optimizer<torch::optim::Adam>, lk::torch_module<network>>);

TEST_CASE("torch: a module's forward and backward are autograd's", "[torch]") {
  const network net = make_network(8, 1), same = make_network(8, 1);
  torch::manual_seed(5);
  torch::Tensor x = torch::randn({10, 6}), g = torch::randn({10, 3}), h = torch::randn({10, 8});
  lk::torch_module student(net);
  student.zero_gradients();
  for (int round = 1; round <= 2; ++round) {  // gradients add up
    torch::manual_seed(9);
    const auto z = student.forward(x);
    student.backward(lk::outputs{lk::output<"logits">(g), lk::output<"hidden">(h)});
    torch::manual_seed(9);
    const auto expected = same->forward(x);
    const std::vector<torch::Tensor> ends{expected.of<"logits">(), expected.of<"hidden">()};
    torch::autograd::backward(ends, {g, h});
    const torch::Tensor& got = z.of<"logits">();
    const torch::Tensor& same_logits = expected.of<"logits">();
    CHECK(torch::equal(got, same_logits));
    for (std::size_t i = 0; i < net->parameters().size(); ++i)
      CHECK(torch::equal(net->parameters()[i].grad(), same->parameters()[i].grad()));
  }
  CHECK_THROWS_WITH(student.backward(lk::outputs{lk::output<"logits">(g), lk::output<"hidden">(h)}), Contains("without a graph"));
  const auto gradients = student.gradients();
  CHECK(gradients.size() == student.parameters().size());
  CHECK(gradients[0].data() == net->parameters()[0].grad().data_ptr<float>());
  student.zero_gradients();
  CHECK(net->parameters()[0].grad().abs().sum().item<float>() == 0);

  for (auto& p : net->first->parameters()) p.requires_grad_(false);  // frozen: no gradient is made
  net->first->weight.mutable_grad() = torch::Tensor();
  student.zero_gradients();
  CHECK_FALSE(net->first->weight.grad().defined());
}

namespace {
/// A network whose hidden layers are a list.
struct layered_impl : torch::nn::Module {
  std::vector<torch::nn::Linear> layers;
  torch::nn::Linear last{5, 3};
  explicit layered_impl(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) layers.push_back(register_module("layer" + std::to_string(i), torch::nn::Linear(i == 0 ? 6 : 5, 5)));
    register_module("last", last);
  }
  auto forward(torch::Tensor x) {
    std::vector<torch::Tensor> hidden;
    for (auto& l : layers) hidden.push_back(x = torch::tanh(l(x)));
    return lk::outputs{lk::output<"logits">(last(x)), lk::output<"hidden">(std::move(hidden))};
  }
};
}  // namespace

TEST_CASE("torch: a list of layers is an output of a module", "[torch][layers]") {
  torch::manual_seed(11);
  const auto net = std::make_shared<layered_impl>(2), wise = std::make_shared<layered_impl>(4);
  lk::torch_module student{net};
  lk::torch_teacher teacher{wise};
  torch::Tensor x = torch::randn({7, 6});
  const std::vector<int> labels{0, 1, 2, 0, 1, 2, 0};
  const auto objective = lk::cross_entropy{} + lk::at_layers<"hidden">(lk::layer_map::evenly(2, 4), lk::feature_mse{});
  const auto taught = teacher.forward(x);
  auto z = student.forward(x);
  student.zero_gradients();
  const auto e = objective(z, taught, labels);
  student.backward(e.gradient);
  std::vector<torch::Tensor> own;
  for (const auto& p : net->parameters()) own.push_back(p.grad().clone());
  net->zero_grad();
  const auto again = net->forward(x);
  const auto& mine = again.of<"hidden">();
  const auto& theirs = taught.of<"hidden">();
  const torch::Tensor loss = torch::cross_entropy_loss(again.of<"logits">(), torch::tensor(std::vector<std::int64_t>(labels.begin(), labels.end()))) +
                             torch::mse_loss(mine[0], theirs[1]) + torch::mse_loss(mine[1], theirs[3]);
  loss.backward();
  CHECK(e.loss == Approx(loss.item<double>()).epsilon(1e-6));
  for (std::size_t i = 0; i < own.size(); ++i) CHECK(torch::allclose(own[i], net->parameters()[i].grad(), 1e-4, 1e-6));
}

TEST_CASE("torch: the modes of a module and of its parts", "[torch]") {
  const network net = make_network(8, 1);
  lk::torch_module student(net, classify{});
  torch::Tensor x = torch::randn({10, 6});
  CHECK(student.is_training());
  CHECK(student.forward(x).requires_grad());
  net->norm->eval();  // frozen statistics: a choice of the user's
  {
    const lk::evaluating mode(student);
    CHECK_FALSE(student.is_training());
    CHECK_FALSE(net->drop->is_training());
    CHECK_FALSE(student.forward(x).requires_grad());
    CHECK(torch::equal(student.forward(x), student.forward(x)));  // no dropout
    const lk::evaluating inside(student);
  }
  CHECK(student.is_training());
  CHECK(net->drop->is_training());
  CHECK_FALSE(net->norm->is_training());
  CHECK(student.forward(x).requires_grad());
  {
    const lk::evaluating mode(*net);  // any model with the two
    CHECK_FALSE(net->is_training());
  }
  CHECK(net->is_training());

  lk::torch_teacher teacher(net, classify{});
  CHECK_FALSE(net->is_training());
  CHECK_FALSE(teacher.forward(x).requires_grad());
  CHECK(teacher.parameters()[0].data() == net->parameters()[0].data_ptr<float>());
}

TEST_CASE("torch: TorchScript modules are students and teachers", "[torch]") {
  torch::jit::Module script("linear");
  torch::manual_seed(2);
  script.register_parameter("w", torch::randn({3, 6}).requires_grad_(true), false);
  script.register_buffer("shift", torch::randn({3}));
  script.define("def forward(self, x):\n    return torch.linear(x, self.w, self.shift)\n");
  torch::Tensor x = torch::randn({4, 6});
  lk::torch_teacher teacher(script);
  const auto z = teacher.forward(x);
  CHECK(torch::allclose(z, torch::linear(x, script.attr("w").toTensor(), script.attr("shift").toTensor())));
  CHECK_FALSE(z.requires_grad());
  lk::torch_module student(script);
  student.train();
  student.zero_gradients();
  CHECK(torch::equal(student.forward(x), z));
  student.backward(torch::ones({4, 3}));
  CHECK(student.gradients()[0][0] == Approx(x.select(1, 0).sum().item<float>()));
}

TEST_CASE("torch: averages of a module's own tensors", "[torch]") {
  torch::nn::Linear student(4, 3), teacher(4, 3);
  const auto expected = 0.9 * teacher->weight.detach() + 0.1 * student->weight.detach();
  lk::averager average(lk::ema{.decay = 0.9}, lk::in_place(teacher->parameters()));
  average.update(student->parameters());
  CHECK(torch::allclose(teacher->weight.detach(), expected));
  lk::averager own(lk::ema{.decay = 0.9}, teacher->parameters());
  CHECK(own.parameters()[0][5] == teacher->weight.data_ptr<float>()[5]);
  const std::vector<at::Tensor> wide{torch::zeros({2}, torch::kDouble)};
  CHECK_THROWS_WITH(lk::averager(lk::ema{}, lk::in_place(wide)), "limbeck: teacher tensor 0 is float64 [2], expected float32");
}

TEST_CASE("torch: an optimiser steps spans as it steps tensors, the rate by a schedule", "[torch]") {
  torch::nn::Linear spans(4, 3), same(4, 3);
  lk::torch_module view(spans);
  view.zero_gradients();
  const torch::NoGradGuard off;
  for (std::size_t i = 0; i < 2; ++i) same->parameters()[i].copy_(spans->parameters()[i]);
  torch::optim::AdamW plain(same->parameters(), torch::optim::AdamWOptions(0.1));
  lk::torch_optimizer optimizer(torch::optim::AdamW(std::vector<torch::Tensor>{}, torch::optim::AdamWOptions(0.1)), lk::linear(1, 0.5));
  lk::parameter_view<float> parts;
  parts.add(view);
  for (std::size_t step = 0; step < 3; ++step) {
    for (std::size_t i = 0; i < 2; ++i) {
      spans->parameters()[i].mutable_grad().copy_(torch::randn_like(spans->parameters()[i]));
      same->parameters()[i].mutable_grad() = spans->parameters()[i].grad().clone();
    }
    plain.param_groups()[0].options().set_lr(0.1 * lk::linear(1, 0.5)(lk::progress(step, 3).fraction()));
    plain.step();
    optimizer.step(parts, lk::progress(step, 3));
    CHECK(torch::equal(spans->weight, same->weight));
    CHECK(torch::equal(spans->bias, same->bias));
  }
  CHECK_THAT(optimizer.describe(), Contains("AdamW of 0 tensors, rate 0.1, betas 0.9 0.999, eps 1e-8, weight_decay 0.01, times linear"));
  optimizer.optimizer().add_param_group(torch::optim::OptimizerParamGroup(same->parameters()));
  CHECK_THROWS_WITH(optimizer.step(parts, lk::progress(0.5)), Contains("groups are added before it becomes a torch_optimizer"));
}

TEST_CASE("torch: given tensors are weights and temperatures", "[torch]") {
  torch::manual_seed(4);
  const auto s = torch::randn({6, 5}), t = torch::randn({6, 5});
  const auto w = torch::rand({6}, torch::kDouble);
  const std::vector<double> same(w.data_ptr<double>(), w.data_ptr<double>() + 6);
  const lk::objective one{lk::given(w) * lk::at_temperature(1.0 + lk::given(w), lk::forward_kl{})};
  const lk::objective two{lk::given(same) * lk::at_temperature(1.0 + lk::given(same), lk::forward_kl{})};
  CHECK(one.value(s, t) == two.value(s, t));
}
