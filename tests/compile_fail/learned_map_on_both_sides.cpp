// A learned map stands on one side.
// expect: limbeck: a map that learns stands on one side
#include <limbeck/features.hpp>

namespace lk = limbeck;

void use(lk::projection<float>& p);
void use(lk::projection<float>& p) {
#ifdef LIMBECK_CONTROL
  static_cast<void>(lk::through(p, lk::identity{}, lk::mse{}));
#else
  static_cast<void>(lk::through(p, lk::mse{}));
#endif
}
