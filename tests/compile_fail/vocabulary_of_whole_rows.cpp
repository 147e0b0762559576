// A loss of sorted rows, where each rank has some classes.
// expect: limbeck: classes_over: a loss of this objective reads whole rows, of which each rank holds some classes
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
  lk::objective{lk::uld{}}.value(student, teacher, lk::classes_over(world));
#endif
}
