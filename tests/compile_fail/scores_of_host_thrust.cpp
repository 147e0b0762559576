// Scores on the host of a pool on a device.
// expect: limbeck: these scores lie on the host and the pool on a device; copy the scores to the device
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6), scores(2);
  const auto pool = lk::on_device(memory, 2, 3);
#ifndef LIMBECK_CONTROL
  return static_cast<int>(lk::by_highest(std::vector<float>(2))(pool, {.budget = 1})[0]);
#else
  return static_cast<int>(lk::by_highest(scores)(pool, {.budget = 1})[0]);
#endif
}
