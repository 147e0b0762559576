// A mask that nobody reads.
// expect: limbeck: class_mask(m) is given, but no term stands on<masked>
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  const std::vector<int> m{1, 0, 1};
  lk::on<lk::masked>(lk::forward_kl{})(student, teacher, lk::class_mask(m));
#else
  const std::vector<int> m{1, 0, 1};
  lk::objective{lk::forward_kl{}}(student, teacher, lk::class_mask(m));
#endif
}
