// Likelihoods, parameters and answers stand at T = 1, which a call checks of numbers only.
// expect: limbeck: this loss reads likelihoods, parameters or answers, which stand at T = 1
// times: 4
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const double t = 2;
const std::vector<float> memory(8), temperatures(2);
const lk::rows<const float> student(memory.data(), 2, 4), teacher(memory.data(), 2, 4);
const lk::rows<const float> weights(memory.data(), 2, 4);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::at_temperature(lk::per_row{}, 1.0, lk::bce_with_logits{})(student, teacher, lk::row_temperatures(temperatures));
#else
  const lk::bce_with_logits bce;
  lk::at_temperature(lk::per_row{}, bce)(student, teacher, lk::row_temperatures(temperatures));
  lk::at_temperature(lk::per_row{}, lk::element_weights(weights, bce))(student, teacher, lk::row_temperatures(temperatures));
  lk::at_temperature(lk::per_row{}, lk::beta_kl{})(student, teacher, lk::row_temperatures(temperatures));
  lk::at_temperature(lk::learned(t), lk::bits{})(student);
#endif
}
