// The gradient of logits that are never there.
// expect: limbeck: the gradient of logits_of(hidden, weights) goes into(head_gradient(of_hidden, of_weights)); there is no tensor of logits to have one
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3), weights(memory.data(), 2, 3);
const lk::rows<float> gradient(memory.data(), 2, 3);

void use();
void use() {
  const auto s = lk::logits_of(student, weights), t = lk::logits_of(teacher, weights);
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}(s, t, lk::into(lk::head_gradient(gradient)));
#else
  lk::objective{lk::forward_kl{}}(s, t, lk::into(gradient));
#endif
}
