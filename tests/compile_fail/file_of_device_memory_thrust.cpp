// expect: limbeck: a file, or another library, is given the host's memory; copy the tensor to the host
#include <limbeck/core/any_tensor.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> device(6);
  const thrust::host_vector<float> host(6);
#ifndef LIMBECK_CONTROL
  const auto rows = lk::on_device(device, 2, 3);
#else
  const auto rows = lk::on_host(host, 2, 3);
#endif
  return static_cast<int>(lk::detail::any_view(rows).rank);
}
