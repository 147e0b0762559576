// The denoiser's derivatives against central differences: by parameters, by its input, along a direction.

#include "denoiser.hpp"

#include <limbeck/core/random.hpp>

#include <cmath>
#include <stdexcept>
#include <string>

namespace few_step {

void check_gradients() {
  denoiser net({3, 4, 6, 3, 2}, 3);
  lk::random_stream random(5);
  const auto fill = [&](matrix& m) {
    for (float& x : m.reshaped()) x = 0.5F * static_cast<float>(random.normal());
  };
  question q{matrix(5, 3), {0.1, 0.4, 0.8, 1.2, 1.5}, {0, 3, 1, 2, 3}};
  matrix slope(5, 2), dx(5, 3);
  fill(q.x), fill(slope), fill(dx);
  const auto parameters = net.parameters()[0], gradients = net.gradients()[0];
  for (float& w : parameters) w += 0.1F * static_cast<float>(random.normal());
  const auto loss = [&] { return net.forward(q).cwiseProduct(slope).cast<double>().sum(); };
  const auto compare = [](const std::string& what, double own, double by_differences) {
    if (!(std::abs(own - by_differences) < 2e-3))
      throw std::runtime_error("the derivative by " + what + " is " + std::to_string(own) + ", by differences " +
                               std::to_string(by_differences));
  };
  const auto differences = [&](float& at) {
    const float own = at, h = 5e-3F;
    at = own + h;
    const double up = loss();
    at = own - h;
    const double down = loss();
    at = own;
    return (up - down) / (2 * static_cast<double>(h));
  };

  net.zero_gradients();
  loss();
  net.backward(slope);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    compare("parameter " + std::to_string(i), static_cast<double>(gradients[i]), differences(parameters[i]));
  loss();
  const matrix by_input = net.by_input(slope);
  for (Eigen::Index i = 0; i < q.x.size(); ++i)
    compare("input " + std::to_string(i), static_cast<double>(by_input.data()[i]), differences(q.x.data()[i]));

  const std::vector<double> dt{1, -0.5, 0.3, 0, 2};
  loss();
  const matrix along = net.along(dx, dt), own = q.x;
  const auto moved = [&](double by) {
    question m = q;
    m.x = own + static_cast<float>(by) * dx;
    for (std::size_t r = 0; r < dt.size(); ++r) m.times[r] += by * dt[r];
    return matrix(net.forward(m));
  };
  const matrix slow = (moved(5e-3) - moved(-5e-3)) / 1e-2F;
  for (Eigen::Index i = 0; i < slow.size(); ++i)
    compare("a direction, at " + std::to_string(i), static_cast<double>(along.data()[i]), static_cast<double>(slow.data()[i]));
}

}  // namespace few_step
