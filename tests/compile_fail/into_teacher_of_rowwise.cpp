// A loss of the whole row has no derivative by its teacher.
// expect: limbeck: into_teacher(g): a term of this objective has no derivative by its teacher
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> memory(6), first(6), second(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::mse{}}
#else
  lk::objective{lk::dkd{}}
#endif
  (student, teacher, std::vector<int>{0, 1}, lk::unread_is_fine, lk::into(lk::rows<float>(first.data(), 2, 3)),
   lk::into_teacher(lk::rows<float>(second.data(), 2, 3)));
}
