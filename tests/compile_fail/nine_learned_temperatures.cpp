// More learned temperatures than an evaluation holds.
// expect: limbeck: at most 8 learned temperatures in one objective
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const double t = 2;
const lk::forward_kl kl;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  const auto three = lk::at_temperature(lk::learned(t), kl) + lk::at_temperature(lk::learned(t), kl) +
                     lk::at_temperature(lk::learned(t), kl);
  three(student, teacher);
#else
  const auto three = lk::at_temperature(lk::learned(t), kl) + lk::at_temperature(lk::learned(t), kl) +
                     lk::at_temperature(lk::learned(t), kl);
  (three + three + three)(student, teacher);
#endif
}
