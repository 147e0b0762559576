// Scores on a device, ranked beside a pool on the host.
// expect: limbeck: these scores lie on a device, and the selector reads them on the host
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> scores(2);
  const thrust::host_vector<float> copy(6);
  const auto pool = lk::on_host(copy, 2, 3);
#ifndef LIMBECK_CONTROL
  return static_cast<int>(lk::by_highest(scores)(pool, {.budget = 1})[0]);
#else
  return static_cast<int>(lk::by_highest(std::vector<float>(2))(pool, {.budget = 1})[0]);
#endif
}
