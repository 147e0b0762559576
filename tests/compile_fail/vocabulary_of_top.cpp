// The teacher's highest classes, where each rank has some.
// expect: limbeck: classes_over: the top of the teacher is ranked over all classes of a row
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
  lk::objective{lk::on<lk::top_of_teacher<2>>(lk::forward_kl{})}.value(student, teacher, lk::classes_over(world));
#endif
}
