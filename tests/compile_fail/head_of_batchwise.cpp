// A loss that relates all rows of a batch, of logits that are there a chunk of rows at a time.
// expect: limbeck: a batchwise loss relates all rows of a call, and logits_of shows it a chunk of them at a time
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3), weights(memory.data(), 2, 3);

void use();
void use() {
  const auto s = lk::logits_of(student, weights), t = lk::logits_of(teacher, weights);
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}.value(s, t);
#else
  lk::objective{lk::linear_cka{}}.value(s, t);
#endif
}
