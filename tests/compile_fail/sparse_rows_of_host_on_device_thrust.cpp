// Sparse rows in host memory, and logits on a device.
// expect: limbeck: what a loss holds (sparse rows, a projection, variances) lives in another memory (host or device) than the student
#include <limbeck/targets.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const lk::sparse_store<float> kept;
  const lk::objective objective{lk::sparse_kl(kept)};
#ifndef LIMBECK_CONTROL
  const thrust::device_vector<float> student(6);
  return static_cast<int>(objective.value(lk::on_device(student, 2, 3)));
#else
  const thrust::host_vector<float> student(6);
  return static_cast<int>(objective.value(lk::on_host(student, 2, 3)));
#endif
}
