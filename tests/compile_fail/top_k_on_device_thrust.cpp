// The largest of every row are found by host threads.
// expect: limbeck: top_k of a tensor reads its rows on the host, and these live on a device
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6);
  const thrust::host_vector<float> copy(6);
  std::vector<float> values(2);
  std::vector<int> places(2);
#ifndef LIMBECK_CONTROL
  lk::top_k(lk::on_device(memory, 2, 3), 1, values, places);
#else
  lk::top_k(lk::on_host(copy, 2, 3), 1, values, places);
#endif
  return places[0];
}
