// expect: limbeck: one sweep has at most one signal for a temperature
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

void use(lk::rows<const float> s, lk::rows<const float> t, const std::vector<int>& labels, std::vector<float>& out) {
  (void)t;
  (void)labels;
  (void)out;
#ifndef LIMBECK_CONTROL
  (lk::at_temperature(lk::of_teacher(lk::entropy{}), lk::forward_kl{}) + lk::at_temperature(lk::of_student(lk::entropy{}), lk::reverse_kl{}))(s, t);
#else
  lk::at_temperature(lk::of_teacher(lk::entropy{}), lk::forward_kl{} + lk::reverse_kl{})(s, t);
#endif
}
