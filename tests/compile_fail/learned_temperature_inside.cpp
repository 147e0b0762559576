// A learned temperature belongs to the call; losses inside of a map are run by themselves.
// expect: limbeck: a learned temperature stands outside of through(...)
#include <limbeck/features.hpp>
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

void use(double& t);
void use(double& t) {
#ifdef LIMBECK_CONTROL
  static_cast<void>(t);
  static_cast<void>(lk::through(lk::unit_rows{}, lk::at_temperature(2.0, lk::forward_kl{})));
#else
  static_cast<void>(lk::through(lk::unit_rows{}, lk::at_temperature(lk::learned(t), lk::forward_kl{})));
#endif
}
