// A call that would make the gradients of a head.
// expect: limbeck: a call on logits_of makes no gradients; pass into(head_gradient(of_hidden, of_weights)), of a student that is a tensor into(gradient), or ask for value(...)
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
  lk::objective{lk::forward_kl{}}(s, t);
#endif
}
