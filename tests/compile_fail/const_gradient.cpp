// A gradient that cannot be written.
// expect: limbeck: into(gradient) needs a tensor that can be written; this one is const
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
  lk::into(lk::rows<float>(g.data(), 2, 3));
#else
  lk::into(student);
#endif
}
