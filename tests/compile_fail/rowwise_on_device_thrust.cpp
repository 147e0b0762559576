// A device asks a rowwise loss for a row that several threads share.
// expect: limbeck: a rowwise loss of this objective takes rows of the host only; on a device make its call a template over the team
#include <limbeck/thrust.hpp>

namespace lk = limbeck;

struct first_class {
  using limbeck_loss = lk::rowwise;
  static constexpr int temperature_power = 0;
#ifndef LIMBECK_CONTROL
  template <class T>
  T operator()(const lk::row<T>& x) const {
#else
  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const lk::row<T, Team>& x) const {
#endif
    return x.student[0] - x.teacher[0];
  }
};

int main() {
  const thrust::device_vector<float> s(6), t(6);
  return static_cast<int>(lk::objective(first_class{}).value(lk::on_device(s, 2, 3), lk::on_device(t, 2, 3)));
}
