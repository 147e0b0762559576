// Logits in deviations of their row, where each rank has some.
// expect: limbeck: classes_over: a standardized temperature is the deviation of all classes of a row
#include <limbeck/limbeck.hpp>
#include <limbeck/ranks.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const lk::one_rank world;

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}.value(student, teacher, lk::classes_over(world));
#else
  lk::objective{lk::at_temperature(lk::standardized(2.0), lk::forward_kl{})}.value(student, teacher, lk::classes_over(world));
#endif
}
