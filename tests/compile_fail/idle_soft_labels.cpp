// Probabilities that nobody reads.
// expect: limbeck: soft_labels(P) is given, but no term takes them; cross_entropy does
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::cross_entropy{}}(student, lk::soft_labels(teacher));
#else
  lk::objective{lk::forward_kl{}}(student, teacher, lk::soft_labels(teacher));
#endif
}
