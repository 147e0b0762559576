// A loss written for batches of the host does not see one of a device.
// expect: limbeck: what a loss holds (sparse rows, a projection, variances) lives in another memory (host or device)
#include <limbeck/features.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6);
  const auto rows = lk::on_device(memory, 2, 3);
#ifndef LIMBECK_CONTROL
  lk::projection<float> p(3, 3);
#else
  lk::projection<float, lk::device_memory> p(3, 3);
#endif
  return static_cast<int>(lk::objective(lk::projected(p, lk::hint{})).value(rows, rows));
}
