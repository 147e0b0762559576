// A negative temperature at compile time.
// expect: limbeck: a temperature is positive
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::at_temperature(lk::fixed<4>{}, lk::forward_kl{});
#else
  lk::at_temperature(lk::fixed<-4>{}, lk::forward_kl{});
#endif
}
