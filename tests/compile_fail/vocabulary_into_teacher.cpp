// The teacher's gradient, where each rank has some classes.
// expect: limbeck: classes_over: into_teacher(g) has no way over ranks
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
  std::vector<float> a(6), b(6);
  lk::objective{lk::forward_kl{}}(student, teacher, lk::into(lk::rows<float>(a.data(), 2, 3)), lk::into_teacher(lk::rows<float>(b.data(), 2, 3)), lk::classes_over(world));
#endif
}
