// A learned temperature for a loss that cannot train it.
// expect: limbeck: the target part of dkd and nkd has no gradient with respect to a learned temperature
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const double t = 2;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
[[maybe_unused]] const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::at_temperature(lk::learned(t), lk::forward_kl{})(student, teacher);
#else
  lk::at_temperature(lk::learned(t), lk::dkd{})(student, teacher, labels);
#endif
}
