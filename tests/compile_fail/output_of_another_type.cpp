// Losses of rows in double for float logits.
// expect: limbeck: a named output (row_losses, row_temperature_gradient) holds another scalar type than the student
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  std::vector<float> out(2);
  lk::objective{lk::forward_kl{}}(student, teacher, lk::row_losses(out));
#else
  std::vector<double> out(2);
  lk::objective{lk::forward_kl{}}(student, teacher, lk::row_losses(out));
#endif
}
