// expect: limbeck: a call has one student, one teacher and one vector of labels; further tensors have names
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

int main() {
  const lk::any_tensor student, teacher, labels, gradient;
  const auto both = lk::cross_entropy{} + lk::forward_kl{};
#ifndef LIMBECK_CONTROL
  return both(student, teacher, labels, gradient, lk::into(gradient)).loss > 0;
#else
  return both(student, teacher, labels, lk::into(gradient)).loss > 0;
#endif
}
