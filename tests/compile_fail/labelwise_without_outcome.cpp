// A labelwise loss without its outcome.
// expect: limbeck: this loss lacks `template <class X> label_outcome<X> outcome(const label_point<X>&) const`
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

#ifdef LIMBECK_CONTROL
struct mine {
  using limbeck_loss = lk::labelwise;
  static constexpr int temperature_power = 0;
  static constexpr bool needs_labels = false;
  template <class X>
  static lk::label_outcome<X> outcome(const lk::label_point<X>& x) {
    return {x.p};
  }
};
#else
struct mine {
  using limbeck_loss = lk::labelwise;
  static constexpr int temperature_power = 0;
  static constexpr bool needs_labels = false;
};
#endif

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
  lk::objective{mine{}}(student, teacher);
}
