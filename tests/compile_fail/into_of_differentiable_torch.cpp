// What has no place in a node of autograd's graph: a gradient of one's own, a temperature that nothing would teach.
// expect: limbeck: differentiable keeps the gradient itself; leave into(gradient) out
// expect: limbeck: differentiable hands no gradient to a learned temperature
#include <limbeck/torch.hpp>

namespace lk = limbeck;

at::Tensor loss(const at::Tensor& student, const at::Tensor& teacher, at::Tensor& gradient, const double& t) {
  const lk::objective kl{lk::forward_kl{}};
#ifndef LIMBECK_CONTROL
  return lk::differentiable(kl, student, teacher, lk::into(gradient)) +
         lk::differentiable(lk::at_temperature(lk::learned(t), kl), student, teacher);
#else
  return gradient = lk::differentiable(kl, student, teacher) + lk::differentiable(lk::at_temperature(t, kl), student, teacher);
#endif
}
