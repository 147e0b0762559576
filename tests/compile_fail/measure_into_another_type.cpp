// expect: limbeck: the last argument of measure is where the numbers go
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> x(6);
const lk::rows<const float> s(x.data(), 2, 3);

int main() {
#ifndef LIMBECK_CONTROL
  std::vector<double> out(2);
  lk::measure(lk::entropy{}, s, out);
#else
  std::vector<float> out(2);
  lk::measure(lk::entropy{}, s, out);
#endif
}
