// The trainer over LibTorch's own modules, optimisers and tensors: what a run learns, and that one which is stopped and
// resumed is one that never stopped, bit for bit.

#include "networks.hpp"

#if LIMBECK_TEST_TRAINER
#include <limbeck/averaging/averager.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/trainer/averaging.hpp>
#include <limbeck/trainer/trainer.hpp>
#include <limbeck/trainer/validation.hpp>

#include <csignal>

using Catch::Matchers::Contains;

namespace {

struct rows_of_data {
  torch::Tensor x, y;
  explicit rows_of_data(std::int64_t n, std::uint64_t seed = 3) {
    torch::manual_seed(seed);
    y = torch::arange(n) % 3;
    x = torch::randn({n, 6}) + 2 * torch::nn::functional::one_hot(y, 6).to(torch::kFloat);
  }
};
struct interrupt_at {
  std::uint64_t step;
  void after_step(lk::training_run& r) const {
    if (r.step == step) std::raise(SIGINT);
  }
};
struct watch_modes {
  torch::nn::Module& module;
  bool training = true;
  void after_epoch(lk::training_run&) { training = training && module.is_training(); }
};

struct outcome {
  std::vector<float> student, projection, mean;
  double loss = 0, accuracy = 0, nll = 0;
  std::uint64_t steps = 0;
  bool operator==(const outcome&) const = default;
};

/// A whole program: everything is made anew. Features, a projection, dropout, batch normalisation, a mean of the student.
template <class Optimizer, class Options>
outcome program(const Options& options, const temporary& checkpoint, std::uint64_t stop) {
  const rows_of_data train(60), test(45, 4);
  const network net = make_network(8, 1), wide = make_network(16, 2), mean = make_network(8, 1);
  lk::torch_module student(net);
  lk::torch_teacher teacher(wide);
  lk::projection<float> p(8, 16, lk::xavier{.seed = 5});
  lk::torch_optimizer optimizer(Optimizer(net->parameters(), options), lk::cosine(1, 0.1));
  lk::averager follow(lk::ema{.decay = 0.9}, lk::in_place(mean->parameters()));
  watch_modes modes{*net};
  lk::trainer trainer{student, teacher,
                      lk::cross_entropy{} + 0.5 * lk::at_temperature(2.0, lk::forward_kl{}) +
                          lk::at<"hidden">(0.1 * lk::projected(p, lk::feature_mse{})),
                      optimizer};
  const lk::torch_data data(train.x, train.y), held_out(test.x, test.y);
  const auto r = trainer.fit(data, {.epochs = 4, .batch = 16, .micro_batch = 16, .seed = 11, .checkpoint = checkpoint.path},
                             lk::averaging(follow, student), lk::validation(student, held_out, {.batch = 20}), modes, interrupt_at{stop});
  CHECK(modes.training);
  CHECK(r.interrupted == (stop < 16));
  outcome o{numbers_of(*net), {}, numbers_of(*mean), r.loss, r.metrics["accuracy"], r.metrics["nll"], r.steps};
  for (const auto part : p.parameters()) o.projection.insert(o.projection.end(), part.begin(), part.end());
  if (stop > 16) {  // what validation saw: the last parameters, in evaluation
    const auto now = lk::evaluate(student, held_out);
    CHECK(now.nll() == o.nll);
    net->eval();
    const auto z = net->forward(test.x).template of<"logits">().detach();
    CHECK(o.accuracy == (z.argmax(1) == test.y).to(torch::kDouble).mean().template item<double>());
    CHECK(o.accuracy > 0.5);
  }
  return o;
}

template <class Optimizer, class Options>
void check_resume(const std::string& name, const Options& options) {
  temporary one(name + "_never.ckpt"), two(name + "_stopped.ckpt");  // cases run beside each other
  const outcome never = program<Optimizer>(options, one, 1000);
  CHECK(never.steps == 16);
  for (const std::uint64_t n : {1U, 4U, 7U}) {
    CAPTURE(n);
    two.clear();
    const outcome stopped = program<Optimizer>(options, two, n);
    CHECK(stopped.steps == n);
    CHECK(stopped.student != never.student);
    CHECK(program<Optimizer>(options, two, 1000) == never);
  }
}

}  // namespace

TEST_CASE("torch: a run with Adam is resumed bit for bit", "[torch]") {
  check_resume<torch::optim::Adam>("Adam", torch::optim::AdamOptions(0.02).amsgrad(true));
}
TEST_CASE("torch: a run with AdamW is resumed bit for bit", "[torch]") {
  check_resume<torch::optim::AdamW>("AdamW", torch::optim::AdamWOptions(0.02));
}
TEST_CASE("torch: a run with SGD is resumed bit for bit", "[torch]") {
  check_resume<torch::optim::SGD>("SGD", torch::optim::SGDOptions(0.05).momentum(0.9).dampening(0.1));
}
TEST_CASE("torch: a run with RMSprop is resumed bit for bit", "[torch]") {
  check_resume<torch::optim::RMSprop>("RMSprop", torch::optim::RMSpropOptions(0.01).momentum(0.5).centered(true));
}
#endif
