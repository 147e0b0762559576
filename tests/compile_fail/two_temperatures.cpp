// A temperature inside a temperature.
// expect: limbeck: this loss has its temperature already; at_temperature stands around losses that have none
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::at_temperature(2.0, 0.5 * lk::forward_kl{});
#else
  lk::at_temperature(2.0, 0.5 * lk::at_temperature(4.0, lk::forward_kl{}));
#endif
}
