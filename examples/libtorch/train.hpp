#ifndef LIMBECK_EXAMPLES_LIBTORCH_TRAIN_HPP
#define LIMBECK_EXAMPLES_LIBTORCH_TRAIN_HPP

// The loop that every network here is trained by: a plain LibTorch one.

#include <torch/torch.h>

#include <cmath>
#include <cstdint>

namespace distil {

/// Adam, the rate falling from 0.01 to 0 along half a cosine. `accumulate(rows)` leaves the gradients of the parameters
/// for a batch of row numbers; `after(epoch)` looks at what came out.
template <class Accumulate, class After>
void train(torch::nn::Sequential& network, std::int64_t rows, int epochs, std::int64_t batch, std::uint64_t seed,
           Accumulate accumulate, After after) {
  constexpr double rate = 0.01;
  torch::optim::Adam optimizer(network->parameters(), torch::optim::AdamOptions(rate));
  auto generator = at::detail::createCPUGenerator(seed);
  const std::int64_t batches = rows / batch;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto order = torch::randperm(rows, generator, torch::kLong);
    for (std::int64_t b = 0; b < batches; ++b) {
      const double done = static_cast<double>(epoch * batches + b) / static_cast<double>(epochs * batches);
      for (auto& group : optimizer.param_groups())
        static_cast<torch::optim::AdamOptions&>(group.options()).lr(rate * 0.5 * (1 + std::cos(M_PI * done)));
      optimizer.zero_grad();
      accumulate(order.narrow(0, b * batch, batch));
      optimizer.step();
    }
    after(epoch);
  }
}

}  // namespace distil

#endif
