#ifndef LIMBECK_EXAMPLES_LIBTORCH_BY_HAND_HPP
#define LIMBECK_EXAMPLES_LIBTORCH_BY_HAND_HPP

// What one writes without a trainer: a plain LibTorch loop, for the loss in torch's own operations.

#include "rows.hpp"

#include <torch/torch.h>

#include <cmath>
#include <cstdint>

namespace distil {

constexpr double rate = 0.01;

/// Adam, the rate falling from 0.01 to 0 along half a cosine. `accumulate(rows)` leaves the gradients of the parameters
/// for a batch of row numbers; `look()` is called after each epoch.
template <class Look, class Accumulate>
void train_by_hand(torch::nn::Sequential& network, shuffled& order, std::size_t epochs, std::size_t steps, Look look,
                   Accumulate accumulate) {
  torch::optim::Adam optimizer(network->parameters(), torch::optim::AdamOptions(rate));
  for (std::size_t step = 0; step < epochs * steps; ++step) {
    const double done = lk::progress(step, epochs * steps).fraction();
    for (auto& group : optimizer.param_groups())
      static_cast<torch::optim::AdamOptions&>(group.options()).lr(rate * 0.5 * (1 + std::cos(M_PI * done)));
    const auto drawn = order({.step = step});
    const std::vector<std::int64_t> rows(drawn.begin(), drawn.end());
    optimizer.zero_grad();
    accumulate(torch::tensor(rows));
    optimizer.step();
    if ((step + 1) % steps == 0) look();
  }
}

}  // namespace distil

#endif
