// A vector in the place of the student.
// expect: limbeck: this type is no tensor of floats of 16, 32 or 64 bits
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
  lk::objective{lk::forward_kl{}}(memory, memory);
#endif
}
