// A function of the host, and times on a device.
// expect: limbeck: phased_weights reads its times on the host, and they live on a device
#include <limbeck/thrust.hpp>

#include <limbeck/diffusion.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> there(4, 0.6f);
  const std::vector<float> here(4, 0.6f);
  std::vector<float> weights(4);
#ifndef LIMBECK_CONTROL
  lk::phased_weights(lk::levels(lk::rectified{}, 0.2), lk::levels(lk::rectified{}, there), weights);
#else
  lk::phased_weights(lk::levels(lk::rectified{}, 0.2), lk::levels(lk::rectified{}, here), weights);
#endif
}
