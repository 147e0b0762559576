// A step on an ODE is along one path.
// expect: limbeck: a step of euler is along one path
#include <limbeck/diffusion.hpp>

namespace lk = limbeck;

void use(const lk::rows<const float>& p, const lk::rows<const float>& x);
void use(const lk::rows<const float>& p, const lk::rows<const float>& x) {
  const auto at = lk::levels(lk::rectified{}, 0.5);
#ifdef LIMBECK_CONTROL
  const auto to = lk::levels(lk::rectified{}, 0.4);
#else
  const auto to = lk::levels(lk::edm{}, 0.4);
#endif
  static_cast<void>(lk::euler(lk::predicts_clean{}, p, x, at, to));
}
