// The tensors of a formula live in one memory, and their times with them.
// expect: limbeck: the tensors of a formula live in different memory (host and device)
// expect: limbeck: the times live on a device, the tensors on the host
#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

void use();
void use() {
  thrust::device_vector<float> memory(6), noise(6), times(2);
  std::vector<float> copy(6);
  const auto x = lk::on_device(memory, 2, 3), e = lk::on_device(noise, 2, 3);
  const lk::rows<const float> host(copy.data(), 2, 3);
#ifndef LIMBECK_CONTROL
  (void)lk::noised(x, host, lk::levels(lk::rectified{}, 0.5));
  (void)lk::noised(host, host, lk::levels(lk::rectified{}, times));
#else
  (void)lk::noised(x, e, lk::levels(lk::rectified{}, times));
  (void)lk::noised(host, host, lk::levels(lk::rectified{}, 0.5));
#endif
}
