// Tensors as the members of a batch, as a student's logits, and as what metrics count.

#include "networks.hpp"

#if LIMBECK_TEST_TRAINER
#include <limbeck/trainer/trainer.hpp>
#include <limbeck/trainer/validation.hpp>

using Catch::Matchers::Contains;

namespace {

/// A student without an adapter: its logits are numbers of its own, one row a row of the data.
struct table {
  torch::Tensor weights, gradient, rows;
  torch::Tensor forward(const torch::Tensor& which) {
    rows = which;
    return weights.index_select(0, which);
  }
  void backward(const torch::Tensor& g) { gradient.index_add_(0, rows, g); }
  void zero_gradients() { gradient = torch::zeros_like(weights); }
};
struct descent {
  void step(table& t, lk::progress) const { t.weights -= 0.5 * t.gradient; }
};
/// Everything that a batch may have, in tensors of several types.
struct all_of_it {
  torch::Tensor labels, row_weights, row_mask, soft_labels;
  struct rows_of {
    torch::Tensor inputs, labels, row_weights, row_mask, soft_labels;
  };
  std::size_t size() const { return static_cast<std::size_t>(labels.size(0)); }
  rows_of batch(std::span<const std::size_t> rows) const {
    const auto which = torch::tensor(std::vector<std::int64_t>(rows.begin(), rows.end()));
    const auto of = [&](const torch::Tensor& x) { return x.index_select(0, which); };
    return {which, of(labels), of(row_weights), of(row_mask), of(soft_labels)};
  }
};

}  // namespace

TEST_CASE("torch: batches of tensors reach the objective, in parts as in one", "[torch]") {
  torch::manual_seed(6);
  const auto type = torch::kDouble;
  const all_of_it data{torch::randint(5, {12}, torch::kInt), torch::rand({12}), torch::arange(12) % 4 != 1,
                       torch::softmax(torch::randn({12, 5}, type), 1)};
  const auto start = torch::randn({12, 5}, type), teacher = torch::randn({12, 5}, type);
  const auto objective = 0.5 * lk::cross_entropy{} + lk::forward_kl{};
  const auto ask = [&](const torch::Tensor& which) { return teacher.index_select(0, which); };

  for (const std::size_t part : {12U, 5U}) {
    table student{start.clone(), {}, {}};
    lk::trainer trainer{student, ask, objective, descent{}};
    const auto r = trainer.fit(data, {.epochs = 1, .batch = 12, .micro_batch = part});
    const auto [loss, g] = lk::objective{objective}(start, teacher, lk::soft_labels(data.soft_labels),
                                                    lk::row_weights(data.row_weights), lk::row_mask(data.row_mask));
    CHECK(r.loss == Approx(loss).epsilon(1e-12));
    CHECK(torch::allclose(student.weights, start - 0.5 * g, 1e-12, 1e-12));
  }
}

TEST_CASE("torch: metrics count tensors", "[torch]") {
  torch::manual_seed(6);
  const auto z = torch::randn({9, 4}, torch::kDouble);
  const auto y = torch::randint(4, {9}, torch::kLong);
  lk::classification_metrics one, two;
  one.add(z, y);
  const std::vector<std::int64_t> same(y.data_ptr<std::int64_t>(), y.data_ptr<std::int64_t>() + 9);
  two.add(lk::as_rows<const double>(z), same);
  CHECK(one.nll() == two.nll());
  CHECK(one.accuracy() == (z.argmax(1) == y).to(torch::kDouble).mean().item<double>());
  CHECK_THROWS_WITH(one.add(z, z.select(1, 0)), "limbeck: labels is float64 [9], expected whole numbers");
  CHECK_THROWS_WITH(one.add(z.to(torch::kInt), y), "limbeck: logits is int32 [9, 4], expected float32");
  CHECK(one.rows_counted() == 9);
  for (const auto type : {torch::kHalf, torch::kBFloat16}) {
    lk::classification_metrics narrow, wide;
    narrow.add(z.to(type), y);
    wide.add(z.to(type).to(torch::kFloat), y);
    CHECK(narrow.nll() == wide.nll());
  }
}

TEST_CASE("torch: tensors as a data source", "[torch]") {
  const auto x = torch::arange(12).view({6, 2}), y = torch::arange(6);
  const lk::torch_data data(x, y);
  const std::vector<std::size_t> rows{4, 0, 4};
  CHECK(data.size() == 6);
  CHECK(torch::equal(data.batch(rows).inputs, torch::tensor({8, 9, 0, 1, 8, 9}).view({3, 2})));
  CHECK(torch::equal(data.batch(rows).labels, torch::tensor({4, 0, 4})));
  CHECK_THROWS_WITH(lk::torch_data(x, y.narrow(0, 0, 5)), "limbeck: labels has 5 rows, expected 6, one a row of inputs");
  CHECK_THROWS_WITH(lk::torch_data(torch::Tensor()), Contains("inputs is an undefined torch::Tensor"));
}
#endif
