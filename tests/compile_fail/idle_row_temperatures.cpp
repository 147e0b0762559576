// Temperatures that nobody reads.
// expect: limbeck: row_temperatures(T) is given, but no term stands at_temperature(per_row{}, ...)
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  const std::vector<float> t{1, 2};
  lk::at_temperature(lk::per_row{}, lk::forward_kl{})(student, teacher, lk::row_temperatures(t));
#else
  const std::vector<float> t{1, 2};
  lk::at_temperature(2.0, lk::forward_kl{})(student, teacher, lk::row_temperatures(t));
#endif
}
