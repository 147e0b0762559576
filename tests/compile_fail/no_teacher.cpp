// A divergence without a teacher.
// expect: limbeck: this loss compares with a teacher; pass the teacher's logits as the second argument
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}(student, teacher, labels, lk::ignore_index(-100));
#else
  lk::objective{lk::forward_kl{}}(student, labels);
#endif
}
