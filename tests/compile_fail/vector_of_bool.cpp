// std::vector<bool> has no memory to look at.
// expect: limbeck: this vector has no data() and size() over numbers; std::vector<bool> has none
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  const std::vector<unsigned char> m{1, 0};
  lk::row_mask(m);
#else
  const std::vector<bool> m{true, false};
  lk::row_mask(m);
#endif
}
