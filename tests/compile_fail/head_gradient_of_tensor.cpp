// The gradients of a head where the student is a tensor of logits.
// expect: limbeck: head_gradient belongs to a student of logits_of(hidden, weights); this student is a tensor of logits
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 2), teacher(memory.data(), 2, 3), weights(memory.data(), 2, 3);
const lk::rows<float> gradient(memory.data(), 2, 2);

void use();
void use() {
  const auto t = lk::logits_of(teacher, weights);
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}(student, t, lk::into(gradient));
#else
  lk::objective{lk::forward_kl{}}(student, t, lk::into(lk::head_gradient(gradient)));
#endif
}
