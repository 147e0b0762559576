// A target that takes a softmax, where each rank has some classes.
// expect: limbeck: classes_over: this target reads a whole row
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
  lk::objective{lk::forward_kl{}}.value(student, lk::mean_of_probabilities(teacher, teacher), lk::classes_over(world));
#endif
}
