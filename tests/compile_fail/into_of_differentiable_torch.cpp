// expect: limbeck: differentiable keeps the gradient itself; leave into(gradient) out
#include <limbeck/torch.hpp>

namespace lk = limbeck;

at::Tensor loss(const at::Tensor& student, const at::Tensor& teacher, at::Tensor& gradient) {
  const lk::objective kl{lk::forward_kl{}};
#ifndef LIMBECK_CONTROL
  return lk::differentiable(kl, student, teacher, lk::into(gradient));
#else
  return gradient = lk::differentiable(kl, student, teacher);
#endif
}
