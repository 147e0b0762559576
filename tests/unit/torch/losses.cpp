// Losses that hold numbers of one type (a projection, variances, a memory, sparse rows), on LibTorch's tensors.

#include "torch_and_catch.hpp"

#include <limbeck/torch.hpp>

#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {

struct features {
  torch::Tensor student, teacher;
  features(std::int64_t samples, std::int64_t in, std::int64_t out, torch::Dtype type = torch::kFloat) {
    torch::manual_seed(3);
    student = torch::randn({samples, in}, type).requires_grad_(true);
    teacher = torch::randn({samples, out}, type);
  }
};

/// The call and the node of a graph say the same, and both what plain memory is told.
template <class Objective>
void check(const Objective& objective, const features& x, const std::vector<std::span<float>>& learned) {
  const auto zero = [&] {
    for (const auto g : learned) std::fill(g.begin(), g.end(), 0.0f);
  };
  const auto copy = [&] {
    std::vector<float> all;
    for (const auto g : learned) all.insert(all.end(), g.begin(), g.end());
    return all;
  };
  const auto view = [](const torch::Tensor& t) {
    return lk::rows<const float>(t.data_ptr<float>(), static_cast<std::size_t>(t.size(0)), static_cast<std::size_t>(t.size(1)));
  };
  zero();
  const auto [expected, slope] = objective(view(x.student), view(x.teacher));
  const auto expected_learned = copy();
  zero();
  const auto [loss, gradient] = objective(x.student, x.teacher);
  CHECK(loss == expected);
  CHECK(std::equal(slope.begin(), slope.end(), gradient.template data_ptr<float>()));
  CHECK(copy() == expected_learned);
  zero();
  const auto node = lk::differentiable(objective, x.student, x.teacher);
  CHECK(node.template item<float>() == static_cast<float>(expected));
  CHECK(torch::equal(torch::autograd::grad({node}, {x.student})[0], gradient));
  CHECK(copy() == expected_learned);
  CHECK(objective.value(x.student, x.teacher) == expected);

  const features wrong(4, x.student.size(1), x.teacher.size(1), torch::kDouble);
  CHECK_THROWS_WITH(objective(wrong.student, wrong.teacher),
                    "limbeck: student is float64 [4, " + std::to_string(x.student.size(1)) + "], expected float32");
  CHECK_THROWS_WITH(lk::differentiable(objective, wrong.student, wrong.teacher), Contains("student is float64"));
}

template <class... Part>
std::vector<std::span<float>> gradients_of(Part&... part) {
  std::vector<std::span<float>> all;
  const auto add = [&](auto& p) {
    for (const auto g : p.gradients()) all.push_back(g);
  };
  (add(part), ...);
  return all;
}

}  // namespace

TEST_CASE("torch: projected and vid take float tensors", "[torch]") {
  lk::projection<float> p(6, 8, lk::xavier{.seed = 2});
  lk::channel_variances<float> v(8);
  const lk::objective objective{lk::projected(p, lk::feature_mse{}) + 0.5 * lk::projected(p, lk::vid(v))};
  check(objective, features(7, 6, 8), gradients_of(p, v));
}

TEST_CASE("torch: crd takes float tensors", "[torch]") {
  const features x(7, 6, 8);
  const std::vector<std::size_t> indices{3, 1, 4, 0, 5, 9, 2};
  // each call is a step of the bank: a fresh one each
  const auto run = [&](const auto& call) {
    lk::crd_bank<float> bank(10, 5, {.negatives = 4});
    lk::projection<float> s(6, 5, lk::xavier{.seed = 2}), t(8, 5, lk::xavier{.seed = 3});
    return call(lk::objective{lk::crd(bank, indices, s, t)});
  };
  const lk::rows<const float> student(x.student.data_ptr<float>(), 7, 6), teacher(x.teacher.data_ptr<float>(), 7, 8);
  const double expected = run([&](const auto& o) { return o(student, teacher).loss; });
  CHECK(run([&](const auto& o) { return o(x.student, x.teacher).loss; }) == expected);
  CHECK(run([&](const auto& o) { return lk::differentiable(o, x.student, x.teacher).template item<float>(); }) ==
        static_cast<float>(expected));
  CHECK_THROWS_WITH(run([&](const auto& o) { return o(x.student.detach().to(torch::kDouble), x.teacher).loss; }),
                    "limbeck: student is float64 [7, 6], expected float32");
}

TEST_CASE("torch: sparse rows of float take float tensors", "[torch]") {
  const features x(5, 9, 9);
  const auto kept = lk::keep_top(lk::as_rows<const float>(x.teacher), 3, 2.0);
  const lk::objective objective{0.5 * lk::at_temperature(2.0, lk::sparse_kl(kept)) +
                                lk::at_temperature(2.0, lk::sparse_divergence(lk::jensen_shannon{}, kept))};
  const auto [expected, slope] = objective(lk::as_rows<const float>(x.student));
  const auto [loss, gradient] = objective(x.student);
  CHECK(loss == expected);
  CHECK(std::equal(slope.begin(), slope.end(), gradient.data_ptr<float>()));
  const auto node = lk::differentiable(objective, x.student);
  CHECK(torch::equal(torch::autograd::grad({node}, {x.student})[0], gradient));
  CHECK_THROWS_WITH(objective(x.student.detach().to(torch::kDouble)), "limbeck: student is float64 [5, 9], expected float32");
}
