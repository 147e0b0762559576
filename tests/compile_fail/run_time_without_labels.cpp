// expect: limbeck: this loss needs labels; pass a vector of integers after the teacher
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

int main() {
  const lk::any_tensor student, teacher, labels, gradient;
  const auto both = lk::cross_entropy{} + lk::forward_kl{};
#ifndef LIMBECK_CONTROL
  return both(student, teacher, lk::into(gradient)).loss > 0;
#else
  return both(student, teacher, labels, lk::into(gradient)).loss > 0;
#endif
}
