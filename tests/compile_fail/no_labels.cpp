// Cross-entropy without labels.
// expect: limbeck: this loss needs labels; pass a vector of integers after the teacher
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  (0.1 * lk::cross_entropy{} + lk::forward_kl{})(student, teacher, labels);
#else
  (0.1 * lk::cross_entropy{} + lk::forward_kl{})(student, teacher);
#endif
}
