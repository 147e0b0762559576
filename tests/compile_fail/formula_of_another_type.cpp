// Formulas hold one scalar type and keep views of times that outlive them.
// expect: limbeck: the tensors of a formula hold one scalar type; float goes with float, double with double
// expect: limbeck: times are a number, or a vector of float or double, one a row
#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

void use();
void use() {
  const std::vector<float> x(6), times(2);
  const std::vector<double> e(6);
  const std::vector<int> steps(2);
  const lk::rows<const float> samples(x.data(), 2, 3);
  const lk::rows<const double> noise(e.data(), 2, 3);
#ifndef LIMBECK_CONTROL
  (void)lk::noised(samples, noise, lk::levels(lk::rectified{}, times));
  (void)lk::levels(lk::rectified{}, steps);
#else
  (void)lk::noised(samples, samples, lk::levels(lk::rectified{}, times));
#endif
}
