// expect: limbeck: this objective has a schedule; pass lk::progress
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
  (void)scheduled(s, t);
#else
  (void)scheduled(s, t, lk::progress(0.1));
#endif
  (void)objective, (void)hard, (void)scheduled, (void)g;
}
