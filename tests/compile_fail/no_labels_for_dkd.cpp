// All classes but the label, and no label.
// expect: limbeck: on<non_target> needs the labels; pass them after the teacher
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::objective{lk::on<lk::non_target>(lk::forward_kl{})}(student, teacher, labels);
#else
  lk::objective{lk::on<lk::non_target>(lk::forward_kl{})}(student, teacher);
#endif
}
