// A workspace that cannot be written.
// expect: limbeck: the workspace is const; a call writes to it
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::workspace ws{};
  lk::objective{lk::forward_kl{}}.value(student, teacher, ws);
#else
  const lk::workspace ws{};
  lk::objective{lk::forward_kl{}}.value(student, teacher, ws);
#endif
}
