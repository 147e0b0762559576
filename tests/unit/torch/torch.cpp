// LibTorch's tensors, against autograd and against plain memory.

#include "torch_and_catch.hpp"

#include <limbeck/torch.hpp>

#include <limits>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {

const auto objective = 0.25 * lk::cross_entropy{} + 0.75 * lk::at_temperature(4.0, lk::forward_kl{});

struct problem {
  torch::Tensor student, teacher, labels;
  problem(std::int64_t samples, std::int64_t classes, torch::Dtype type) {
    torch::manual_seed(7);
    student = (3 * torch::randn({samples, classes}, type)).detach().requires_grad_(true);
    teacher = 3 * torch::randn({samples, classes}, type);
    labels = torch::randint(classes, {samples}, torch::kLong);
  }
  /// The canonical form, by autograd.
  torch::Tensor canonical(const torch::Tensor& s) const {
    namespace F = torch::nn::functional;
    const auto ce = F::cross_entropy(s, labels);
    const auto kl = torch::kl_div(torch::log_softmax(s / 4, 1), torch::softmax(teacher / 4, 1), at::Reduction::Sum) *
                    16 / s.size(0);
    return 0.25 * ce + 0.75 * kl;
  }
};

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().max().item<double>();
}

}  // namespace

TEST_CASE("torch: value and gradient are autograd's", "[torch]") {
  for (const auto type : {torch::kFloat, torch::kDouble}) {
    const problem p(33, 19, type);
    const double within = type == torch::kFloat ? 1e-6 : 1e-14;
    const auto expected = p.canonical(p.student);
    const auto expected_gradient = torch::autograd::grad({expected}, {p.student})[0];

    const auto [loss, gradient] = objective(p.student, p.teacher, p.labels);
    CHECK(loss == Approx(expected.item<double>()).epsilon(within * 10));
    CHECK(gradient.scalar_type() == type);
    CHECK_FALSE(gradient.requires_grad());
    CHECK(difference(gradient, expected_gradient) < within);

    torch::Tensor mine = torch::empty_like(gradient);
    lk::workspace ws;
    const void* memory = mine.data_ptr();
    CHECK(objective(p.student, p.teacher, p.labels, lk::into(mine), ws).loss == loss);
    CHECK(mine.data_ptr() == memory);
    CHECK(torch::equal(mine, gradient));
    CHECK(objective.value(p.student, p.teacher, p.labels) == loss);

    // the same bits as plain memory
    const auto run = [&]<class T>(T) {
      std::vector<T> g(33 * 19);
      const auto view = [](const torch::Tensor& x) { return lk::rows<const T>(x.data_ptr<T>(), 33, 19); };
      const std::vector<std::int64_t> y(p.labels.data_ptr<std::int64_t>(), p.labels.data_ptr<std::int64_t>() + 33);
      CHECK(objective(view(p.student), view(p.teacher), y, lk::into(lk::rows<T>(g.data(), 33, 19))).loss == loss);
      CHECK(std::equal(g.begin(), g.end(), gradient.data_ptr<T>()));
    };
    type == torch::kFloat ? run(float{}) : run(double{});
  }
}

TEST_CASE("torch: both ways into a graph give the parameters autograd's gradients", "[torch]") {
  torch::manual_seed(1);
  torch::nn::Sequential student(torch::nn::Linear(6, 16), torch::nn::ReLU(), torch::nn::Linear(16, 5));
  const auto x = torch::randn({40, 6});
  problem p(40, 5, torch::kFloat);
  const auto gradients = [&](auto&& backward) {
    student->zero_grad();
    backward(student->forward(x));
    std::vector<torch::Tensor> g;
    for (const auto& parameter : student->parameters()) g.push_back(parameter.grad().clone());
    return g;
  };
  const auto expected = gradients([&](const torch::Tensor& logits) { p.canonical(logits).backward(); });
  const auto handed =
      gradients([&](const torch::Tensor& logits) { logits.backward(objective(logits, p.teacher, p.labels).gradient); });
  const auto node = gradients(
      [&](const torch::Tensor& logits) { lk::differentiable(objective, logits, p.teacher, p.labels).backward(); });
  const auto sum = gradients([&](const torch::Tensor& logits) {  // beside a loss of torch's own
    (0.5 * lk::differentiable(objective, logits, p.teacher, p.labels) + logits.square().mean()).backward();
  });
  const auto expected_sum =
      gradients([&](const torch::Tensor& logits) { (0.5 * p.canonical(logits) + logits.square().mean()).backward(); });
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(difference(handed[i], expected[i]) < 1e-6);
    CHECK(torch::equal(node[i], handed[i]));
    CHECK(difference(sum[i], expected_sum[i]) < 1e-6);
  }
}

TEST_CASE("torch: a differentiable loss knows grad mode and refuses a second derivative", "[torch]") {
  const problem p(8, 5, torch::kDouble);
  const auto loss = lk::differentiable(objective, p.student, p.teacher, p.labels);
  CHECK(loss.dim() == 0);
  CHECK(loss.requires_grad());
  CHECK(loss.item<double>() == objective.value(p.student, p.teacher, p.labels));
  CHECK_THROWS_WITH(torch::autograd::grad({loss}, {p.student}, {}, true, true),
                    Contains("has no gradient of its own (create_graph is set)"));
  {
    torch::NoGradGuard off;
    const auto value = lk::differentiable(objective, p.student, p.teacher, p.labels);
    CHECK_FALSE(value.requires_grad());
    CHECK(value.item<double>() == loss.item<double>());
  }
  CHECK_FALSE(lk::differentiable(objective, p.student.detach(), p.teacher, p.labels).requires_grad());
}

TEST_CASE("torch: strides, slices and more dimensions are viewed", "[torch]") {
  const problem p(24, 10, torch::kFloat);
  const auto s = p.student.detach();
  const auto [loss, expected] = objective(s, p.teacher, p.labels);
  const auto check = [&](const torch::Tensor& student, const torch::Tensor& teacher, const torch::Tensor& labels) {
    auto g = torch::empty_like(student);
    CHECK(objective(student, teacher, labels, lk::into(g)).loss == loss);
    CHECK(torch::equal(g.reshape({24, 10}), expected));
  };
  check(s.t().contiguous().t(), p.teacher, p.labels);                            // column-major
  check(torch::cat({s, s}, 1).narrow(1, 0, 10), p.teacher, p.labels);            // a slice of a wider matrix
  check(s.view({4, 6, 10}), p.teacher.view({4, 6, 10}), p.labels.view({4, 6}));  // batch x positions x classes
  check(s, p.teacher, p.labels.to(torch::kInt));
  check(s, p.teacher, torch::stack({p.labels, p.labels}, 1).select(1, 0));  // every other element
  const auto one = p.teacher.narrow(0, 3, 1);
  CHECK(objective(s, one.expand({24, 10}), p.labels).loss == objective(s, one.repeat({24, 1}), p.labels).loss);
  CHECK(objective(s.narrow(0, 0, 0), p.teacher.narrow(0, 0, 0), p.labels.narrow(0, 0, 0)).loss == 0);

  auto g = torch::empty_like(s);
  // two strides between rows, in the order of the dimensions
  const auto turned = s.view({4, 6, 10}).transpose(0, 1);
  CHECK(objective(turned, p.teacher, p.labels, lk::into(g)).loss == objective(turned.contiguous(), p.teacher, p.labels).loss);
  CHECK_THROWS_WITH(objective(s.view({2, 3, 4, 10}).transpose(0, 2), p.teacher, p.labels, lk::into(g)),
                    Contains("more than two strides between rows"));
  auto flat = torch::zeros({1, 10}).expand({24, 10});
  CHECK_THROWS_WITH(objective(s, p.teacher, p.labels, lk::into(flat)), Contains("repeats its elements"));
  CHECK_THROWS_WITH(objective(s.view({-1}), p.teacher, p.labels),
                    Contains("is float32 [240], expected samples x classes"));
}

TEST_CASE("torch: named arguments, targets and signals take tensors", "[torch]") {
  const problem p(24, 10, torch::kFloat);
  const auto s = p.student.detach();
  const auto mask = torch::arange(24) % 3 != 0;
  const auto weights = torch::rand({24}, torch::kDouble) + 0.5;
  auto losses = torch::empty({24}), g = torch::empty_like(s);
  const double loss = objective(s, p.teacher, p.labels, lk::row_mask(mask), lk::row_weights(weights),
                                lk::row_losses(losses), lk::into(g))
                          .loss;
  const auto w = weights * mask.to(torch::kDouble);
  CHECK(loss == Approx(((losses.to(torch::kDouble) * w).sum() / w.sum()).item<double>()).epsilon(1e-6));

  const lk::objective soft{lk::cross_entropy{}};
  const auto probabilities = torch::softmax(p.teacher, 1);
  const auto expected = -(probabilities * torch::log_softmax(s, 1)).sum(1).mean();
  CHECK(soft.value(s, lk::soft_labels(probabilities)) == Approx(expected.item<double>()).epsilon(1e-6));

  // a target on the teacher's side: the tensor that is left is the labels
  const auto rows = lk::as_rows<const float>(p.teacher);
  const auto both = lk::mean_of_logits(rows, rows);
  CHECK(objective(s, both, p.labels, lk::into(g)).loss == objective(s, p.teacher, p.labels, lk::into(g)).loss);

  auto out = torch::empty({24});
  lk::measure(lk::entropy{}, s, out);
  const auto q = torch::softmax(s, 1);
  CHECK(difference(out, -(q * q.log()).sum(1)) < 1e-5);
  CHECK(objective.report(s, p.teacher, p.labels).terms().size() == 2);
}

TEST_CASE("torch: a mean teacher follows a module's parameters", "[torch]") {
  torch::nn::Linear student(4, 3), teacher(4, 3);
  std::vector<std::span<float>> from, to;
  for (auto& x : student->parameters()) from.push_back(lk::as_span<float>(x));
  for (auto& x : teacher->parameters()) to.push_back(lk::as_span<float>(x));
  const auto expected = 0.9 * teacher->weight.detach() + 0.1 * student->weight.detach();
  lk::averager average(lk::ema{.decay = 0.9}, lk::in_place(to));
  average.update(from);
  CHECK(difference(teacher->weight.detach(), expected) < 1e-6);
}

TEST_CASE("torch: tensors of 16 bits are their values in float", "[torch]") {
  const problem p(6, 4, torch::kFloat);
  for (const auto type : {torch::kHalf, torch::kBFloat16}) {
    const auto s = p.student.detach().to(type), t = p.teacher.to(type);
    auto g = torch::zeros_like(s), expected = torch::zeros_like(s.to(torch::kFloat));
    CHECK(objective(s, t, p.labels, lk::into(g)).loss ==
          objective(s.to(torch::kFloat), t.to(torch::kFloat), p.labels, lk::into(expected)).loss);
    CHECK(torch::equal(g, expected.to(type)));
  }
}

TEST_CASE("torch: a head's gradients are autograd's", "[torch][heads]") {
  for (const auto type : {torch::kFloat, torch::kDouble}) {
    const problem p(3 * 11, 19, type);
    const auto hidden = torch::randn({3, 11, 6}, type).requires_grad_(true), weights = torch::randn({19, 6}, type).requires_grad_(true),
               bias = torch::randn({19}, type).requires_grad_(true), of_teacher = torch::randn({3, 11, 6}, type);
    auto whole = p;
    whole.teacher = of_teacher.reshape({33, 6}).matmul(weights.detach().t());
    const auto expected = whole.canonical(torch::linear(hidden, weights, bias).reshape({33, 19}));
    const auto gradients = torch::autograd::grad({expected}, {hidden, weights, bias});
    auto dh = torch::zeros_like(hidden), dw = torch::zeros_like(weights), db = torch::zeros_like(bias);
    const auto h = hidden.detach(), w = weights.detach(), b = bias.detach();
    const auto e = objective(lk::logits_of(h, w, b), lk::logits_of(of_teacher, w), p.labels.reshape({3, 11}),
                             lk::into(lk::head_gradient(dh, dw, db)));
    const double within = type == torch::kFloat ? 1e-5 : 1e-13;
    CHECK(e.loss == Approx(expected.item<double>()).epsilon(within));
    CHECK(difference(dh, gradients[0]) < within);
    CHECK(difference(dw, gradients[1]) < within);
    CHECK(difference(db, gradients[2]) < within);

    // as a node of the graph, beside a loss of torch's own
    const auto y = p.labels.reshape({3, 11});
    const auto node = 2 * lk::differentiable(objective, lk::logits_of(hidden, weights, bias), lk::logits_of(of_teacher, w), y) +
                      hidden.square().mean();
    const auto by_node = torch::autograd::grad({node}, {hidden, weights, bias});
    CHECK(difference(by_node[0], 2 * gradients[0] + 2 * h / h.numel()) < 2 * within);
    CHECK(difference(by_node[1], 2 * gradients[1]) < 2 * within);
    CHECK(difference(by_node[2], 2 * gradients[2]) < 2 * within);
    const auto frozen = lk::differentiable(objective, lk::logits_of(hidden + 0, w.clone()), lk::logits_of(of_teacher.clone(), w), y);
    CHECK(torch::autograd::grad({frozen}, {hidden})[0].sizes() == hidden.sizes());
    CHECK_FALSE(lk::differentiable(objective, lk::logits_of(h, w), lk::logits_of(of_teacher, w), y).requires_grad());
    const auto narrow = weights.detach().to(torch::kBFloat16).requires_grad_(true);
    const auto of_narrow = lk::differentiable(objective, lk::logits_of(h, narrow, b), lk::logits_of(of_teacher, w), y);
    CHECK(torch::autograd::grad({of_narrow}, {narrow})[0].scalar_type() == torch::kBFloat16);
  }
}

TEST_CASE("torch: what cannot be taken is refused by name", "[torch]") {
  const problem p(6, 4, torch::kFloat);
  const auto s = p.student.detach();
  const auto g = torch::zeros_like(s);
  const auto call = [&](const torch::Tensor& student, const torch::Tensor& teacher, const torch::Tensor& labels,
                        torch::Tensor gradient) { objective(student, teacher, labels, lk::into(gradient)); };
  CHECK_THROWS_WITH(call(s.to(torch::kInt), p.teacher, p.labels, g),
                    "limbeck: student is int32 [6, 4], expected float32, float64, float16 or bfloat16");
  CHECK_THROWS_WITH(call(s, p.teacher.to(torch::kInt), p.labels, g),
                    "limbeck: teacher is int32 [6, 4], expected float32");
  CHECK_THROWS_WITH(call(s, p.teacher, p.teacher.select(1, 0), g),
                    "limbeck: labels is float32 [6], expected whole numbers");
  CHECK_THROWS_WITH(call(s, p.teacher, p.labels, g.to(torch::kInt)),
                    Contains("limbeck: gradient is int32 [6, 4], expected float32"));
  CHECK_THROWS_WITH(call(s, torch::Tensor(), p.labels, g), "limbeck: this torch::Tensor is undefined");
  CHECK_THROWS_WITH(call(s, p.teacher.to_sparse(), p.labels, g), Contains("is not strided; pass x.to_dense()"));
  CHECK_THROWS_WITH(call(s, p.teacher, p.labels.narrow(0, 0, 5), g), Contains("labels has 5 elements, expected 6"));
  auto bad = s.clone();
  bad[2][1] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(call(bad, p.teacher, p.labels, g), Contains("row 2"));
}

TEST_CASE("torch: tokens of a padded vocabulary", "[torch]") {
  torch::manual_seed(3);
  const auto logits = torch::randn({3, 4, 11}, torch::kFloat), teacher = torch::randn({3, 4, 9}, torch::kFloat);
  const auto tokens = torch::randint(9, {3, 4}, torch::kLong);
  auto gradient = torch::full({3, 4, 11}, 5.0F);
  const double loss = objective(lk::first_classes(9, logits), teacher, lk::next_tokens(tokens, 4),
                                lk::into(lk::first_classes(9, gradient))).loss;
  const auto narrow = logits.narrow(2, 0, 9).contiguous();
  auto labels = torch::full({3, 4}, -100, torch::kLong);
  labels.narrow(1, 0, 3).copy_(tokens.narrow(1, 1, 3));
  const auto expected = objective(narrow, teacher, labels);
  CHECK(loss == expected.loss);
  CHECK(torch::equal(gradient.narrow(2, 0, 9), expected.gradient));
  CHECK(gradient.narrow(2, 9, 2).abs().max().item<float>() == 0);
}
