// Three tensors by position.
// expect: limbeck: there is one student and one teacher; further tensors have names
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}(student, teacher);
#else
  lk::objective{lk::forward_kl{}}(student, teacher, teacher);
#endif
}
