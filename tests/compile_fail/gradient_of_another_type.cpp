// A double gradient for float logits.
// expect: limbeck: a named argument (gradient, soft labels or an output) holds another scalar type than the student
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  std::vector<float> g(6);
  lk::objective{lk::forward_kl{}}(student, teacher, lk::into(lk::rows<float>(g.data(), 2, 3)));
#else
  std::vector<double> g(6);
  lk::objective{lk::forward_kl{}}(student, teacher, lk::into(lk::rows<double>(g.data(), 2, 3)));
#endif
}
