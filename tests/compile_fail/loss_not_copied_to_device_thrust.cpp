// What runs on a device is copied to it.
// expect: limbeck: a loss of this objective holds settings that cannot be copied to a device; keep them trivially copyable
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

struct distance {
  using limbeck_loss = lk::pointwise;
  static constexpr int temperature_power = 2;
#ifndef LIMBECK_CONTROL
  std::vector<double> settings;
#else
  double settings[2]{};
#endif
  template <class X>
  constexpr X value(const lk::point<X>& x) const {
    return x.difference * x.difference;
  }
  template <class X>
  constexpr X flow(const lk::point<X>& x) const {
    return x.difference * x.q * X(2);
  }
};

int main() {
  const thrust::device_vector<float> s(6), t(6);
  return static_cast<int>(lk::objective(distance{}).value(lk::on_device(s, 2, 3), lk::on_device(t, 2, 3)));
}
