// The parts of a batch over ranks lie on the host.
// expect: limbeck: batch_over(world) gathers rows on the host, and these live on a device
#include <limbeck/ranks.hpp>
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  const lk::one_rank world;
  const lk::objective kl{lk::forward_kl{}};
#ifndef LIMBECK_CONTROL
  const thrust::device_vector<float> s(6), t(6);
  return static_cast<int>(kl.value(lk::on_device(s, 2, 3), lk::on_device(t, 2, 3), lk::batch_over(world)));
#else
  const std::vector<float> s(6), t(6);
  return static_cast<int>(kl.value(lk::rows<const float>(s.data(), 2, 3), lk::rows<const float>(t.data(), 2, 3), lk::batch_over(world)));
#endif
}
