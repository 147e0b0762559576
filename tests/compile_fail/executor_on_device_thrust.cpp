// A device runs its rows itself.
// expect: limbeck: on(executor) is for rows on the host; a device runs its rows itself, on the stream of the device_workspace
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> s(6), t(6);
  const lk::objective kl{lk::forward_kl{}};
  lk::serial here;
  lk::executor_ref any(here);
#ifndef LIMBECK_CONTROL
  return static_cast<int>(kl.value(lk::on_device(s, 2, 3), lk::on_device(t, 2, 3), lk::on(any)));
#else
  return static_cast<int>(kl.value(lk::on_device(s, 2, 3), lk::on_device(t, 2, 3), lk::on(here)));
#endif
}
