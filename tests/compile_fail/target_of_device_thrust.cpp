// A target is asked for its rows by host threads.
// expect: limbeck: a target reads its tensors on the host, and this one lives on a device
#include <limbeck/limbeck.hpp>
#include <limbeck/target/class_map.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6);
  const thrust::host_vector<float> copy(6);
  const lk::class_map<float> map;
#ifndef LIMBECK_CONTROL
  return static_cast<int>(lk::class_mapped(lk::on_device(memory, 2, 3), map).samples());
#else
  return static_cast<int>(lk::class_mapped(lk::on_host(copy, 2, 3), map).samples());
#endif
}
