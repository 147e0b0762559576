// A gradient from a call that computes none.
// expect: limbeck: value() writes no gradient; call the objective itself
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}.value(student, teacher);
#else
  std::vector<float> g(6);
  lk::objective{lk::forward_kl{}}.value(student, teacher, lk::into(lk::rows<float>(g.data(), 2, 3)));
#endif
}
