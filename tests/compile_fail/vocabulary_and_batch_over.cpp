// Rows and classes over ranks in one call.
// expect: limbeck: a call's rows are over ranks by batch_over(world), or its classes are by classes_over(world): one of them, once
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
  lk::objective{lk::forward_kl{}}.value(student, teacher, lk::classes_over(world), lk::batch_over(world));
#endif
}
