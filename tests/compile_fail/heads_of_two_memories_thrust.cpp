// Two heads whose logits lie in two memories.
// expect: limbeck: one of the two heads lies on a device, the other on the host
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6);
  const thrust::host_vector<float> copy(6);
  const auto ce = lk::on_device(memory, 2, 3);
#ifndef LIMBECK_CONTROL
  const auto kd = lk::on_host(copy, 2, 3);
#else
  const auto kd = lk::on_device(memory, 2, 3);
#endif
  return static_cast<int>(lk::pcoreset{}(lk::mixed_heads(ce, kd), {.budget = 1})[0]);
}
