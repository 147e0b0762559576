// Logits of the student on a device, those of the teacher on the host.
// expect: limbeck: the student's pool lies on a device and the teacher's does not; copy the teacher's logits there
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6);
  const thrust::host_vector<float> copy(6);
  const auto pool = lk::on_device(memory, 2, 3);
#ifndef LIMBECK_CONTROL
  const auto teacher = lk::on_host(copy, 2, 3);
#else
  const auto teacher = lk::on_device(memory, 2, 3);
#endif
  return static_cast<int>(lk::by_highest(lk::of_teacher(lk::confidence{}), teacher)(pool, {.budget = 1})[0]);
}
