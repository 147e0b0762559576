// Standardised logits are a temperature of the softmax; a loss that reads the logits would miss their mean.
// expect: limbeck: standardized(T) is the temperature of a softmax; this loss reads the logits themselves
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::at_temperature(lk::standardized(2.0), lk::forward_kl{})(student, teacher);
#else
  lk::at_temperature(lk::standardized(2.0), lk::mse{})(student, teacher);
#endif
}
