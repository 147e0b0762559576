// The deviation of a row is taken by the host's sweep.
// expect: limbeck: standardized(T) is taken on the host; on a device, standardise the logits before the call
#include <limbeck/limbeck.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> student(6), teacher(6);
  const auto s = lk::on_device(student, 2, 3), t = lk::on_device(teacher, 2, 3);
#ifndef LIMBECK_CONTROL
  return static_cast<int>(lk::at_temperature(lk::standardized(2.0), lk::forward_kl{}).value(s, t));
#else
  return static_cast<int>(lk::at_temperature(2.0, lk::forward_kl{}).value(s, t));
#endif
}
