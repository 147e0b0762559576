// expect: limbeck: a view whose type is known at run time only makes no gradient; pass into(gradient)
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

int main() {
  const lk::any_tensor student, teacher, gradient;
  const lk::objective kl{lk::forward_kl{}};
#ifndef LIMBECK_CONTROL
  return kl(student, teacher).loss > 0;
#else
  return kl(student, teacher, lk::into(gradient)).loss > 0;
#endif
}
