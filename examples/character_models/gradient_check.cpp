// The backward pass against central differences, on sequences of several lengths, one of them empty and some in part silent.

#include "gru.hpp"
#include "lessons.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace character_models {

void check_gradient() {
  gru model(7, 5, 3);
  lk::random_stream random(5);
  const auto draw = [&](float& x) { x = 0.5F * static_cast<float>(random.normal()); };
  for (const auto part : model.parameters()) std::for_each(part.begin(), part.end(), draw);
  const passages x{{0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 4}, lk::segments::of_lengths(std::vector{3, 0, 6, 2}), {1, 0, 2, 1}};
  matrix slope(7, 7);
  std::for_each(slope.data(), slope.data() + slope.size(), draw);
  const auto loss = [&] { return model.forward(x).cwiseProduct(slope).cast<double>().sum(); };

  model.zero_gradients();
  loss();
  model.backward(slope);
  const auto parameters = model.parameters()[0], gradients = model.gradients()[0];
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const float own = parameters[i], step = 5e-3F;
    const auto at = [&](float moved) {
      parameters[i] = moved;
      return loss();
    };
    const double slope_there = (at(own + step) - at(own - step)) / (2 * static_cast<double>(step));
    at(own);
    if (!(std::abs(slope_there - static_cast<double>(gradients[i])) < 1e-3))
      throw std::runtime_error("the gradient of parameter " + std::to_string(i) + " is " + std::to_string(gradients[i]) +
                               ", by differences " + std::to_string(slope_there));
  }
}

}  // namespace character_models
