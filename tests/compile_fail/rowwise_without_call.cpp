// A rowwise loss that cannot be called.
// expect: limbeck: this loss lacks `template <class T> T operator()(const row<T>&) const`
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

#ifdef LIMBECK_CONTROL
struct mine {
  using limbeck_loss = lk::rowwise;
  static constexpr int temperature_power = 0;
  template <class T>
  T operator()(const lk::row<T>& x) const {
    return x.student[0];
  }
};
#else
struct mine {
  using limbeck_loss = lk::rowwise;
  static constexpr int temperature_power = 0;
};
#endif

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);
const std::vector<int> labels{0, 1};

void use();
void use() {
  lk::objective{mine{}}(student, teacher);
}
