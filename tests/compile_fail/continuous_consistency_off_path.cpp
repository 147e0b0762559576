// The tangent of sCM is written for the trigonometric path.
// expect: limbeck: consistency in continuous time is on the trigonometric path: levels(trigonometric{d}, t)
#include <limbeck/diffusion/continuous_consistency.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> x(memory.data(), 2, 3);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  (void)lk::continuous_consistency(x, x, x, x, lk::levels(lk::trigonometric{0.5}, 0.5));
#else
  (void)lk::continuous_consistency(x, x, x, x, lk::levels(lk::rectified{}, 0.5));
#endif
}
