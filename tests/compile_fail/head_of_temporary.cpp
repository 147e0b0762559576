// A head of weights that are gone before the call.
// expect: limbeck: a view of this temporary would be kept, and its memory is gone at the end of the statement; give it a name first
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> hidden(memory.data(), 2, 3), weights(memory.data(), 2, 3);
const std::vector<float> bias(2);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  (void)lk::logits_of(hidden, weights, bias);
#else
  (void)lk::logits_of(hidden, weights, std::vector<float>(2));
#endif
}
