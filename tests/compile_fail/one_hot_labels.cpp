// expect: soft_labels(P)
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> x(6), y(6);
const lk::rows<const float> s(x.data(), 2, 3), hot(x.data(), 2, 3);
const lk::rows<float> g(y.data(), 2, 3);
const lk::objective hard{lk::cross_entropy{}};

int main() {
#ifndef LIMBECK_CONTROL
  (void)hard(s, hot, lk::into(g));
#else
  (void)hard(s, lk::soft_labels(hot), lk::into(g));
#endif
}
