// expect: limbeck: labels are given, but no term, signal or target reads them
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  std::vector<float> x(6), y(6);
  const std::vector<int> labels(2);
  const lk::rows<const float> s(x.data(), 2, 3), t(x.data(), 2, 3);
  const lk::rows<float> g(y.data(), 2, 3);
  const lk::objective objective{lk::forward_kl{}};
  const lk::objective hard{lk::cross_entropy{}};
  const auto scheduled = lk::linear(0, 1) * lk::forward_kl{};
#ifndef LIMBECK_CONTROL
  (void)objective(s, t, labels);
#else
  (void)objective(s, t, labels, lk::ignore_index(-100));
#endif
  (void)objective, (void)hard, (void)scheduled, (void)g;
}
