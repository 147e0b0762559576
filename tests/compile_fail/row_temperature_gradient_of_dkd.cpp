// The target part of DKD has no gradient with respect to a temperature; 0 would be wrong.
// expect: limbeck: the target part of dkd and nkd has no gradient
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> t{1, 2};
std::vector<float> dt(2);

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::at_temperature(lk::per_row{}, lk::forward_kl{})(student, teacher, lk::row_temperatures(t), lk::row_temperature_gradient(dt));
#else
  lk::at_temperature(lk::per_row{}, lk::dkd{})(student, teacher, labels, lk::row_temperatures(t), lk::row_temperature_gradient(dt));
#endif
}
