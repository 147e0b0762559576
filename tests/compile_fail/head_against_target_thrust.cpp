// A chunk of a student's head on a device, and a target that would be asked for rows of the whole call.
// expect: limbeck: on a device a student of logits_of compares with logits or with another logits_of; fill(target, tensor) writes a target's rows there
#include <limbeck/targets.hpp>
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

int main() {
  const thrust::device_vector<float> memory(6);
  const auto x = lk::on_device(memory, 2, 3);
  const auto head = lk::logits_of(x, x);
  const lk::objective kl{lk::forward_kl{}};
#ifndef LIMBECK_CONTROL
  return static_cast<int>(kl.value(head, lk::mean_of_logits(x, x)));
#else
  return static_cast<int>(kl.value(head, x));
#endif
}
