// A rowwise loss has no gradient with respect to a learned temperature; 0 would be wrong.
// expect: limbeck: a rowwise loss has no gradient with respect to a learned temperature
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const double t = 2;

struct mine {  // says nothing of d loss / dT
  using limbeck_loss = lk::rowwise;
  static constexpr int temperature_power = 0;
  template <class T>
  T operator()(const lk::row<T>& x) const {
    return x.student[0];
  }
};

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
[[maybe_unused]] const std::vector<int> labels{0, 1};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::at_temperature(2.0, mine{})(student, teacher);
#else
  lk::at_temperature(lk::learned(t), mine{})(student, teacher);
#endif
}
