// A selector of the host, and a pool on a device.
// expect: limbeck: this selector reads its pool on the host; copy the pool there, or pass a reader
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6);
  const auto pool = lk::on_device(memory, 2, 3);
#ifndef LIMBECK_CONTROL
  return static_cast<int>(lk::herding{}(pool, {.budget = 1})[0]);
#else
  return static_cast<int>(lk::k_center{}(pool, {.budget = 1})[0]);
#endif
}
