// What travels between ranks is read by the host.
// expect: limbeck: over ranks a pool is read by the host, whose messages travel
#include <limbeck/ranks.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const lk::one_rank world;
#ifndef LIMBECK_CONTROL
  const thrust::device_vector<float> memory(6);
  const auto pool = lk::on_device(memory, 3, 2);
#else
  const float memory[6] = {};
  const lk::rows<const float> pool(memory, 3, 2);
#endif
  return static_cast<int>(lk::over_ranks(world, lk::k_center{})(pool, {.budget = 1})[0]);
}
