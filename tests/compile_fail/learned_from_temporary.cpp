// A learned temperature is read at each call: it must outlive the objective.
// expect: learned(const double&&)
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

void use();
void use() {
#ifdef LIMBECK_CONTROL
  const double t = 2.0;
  lk::at_temperature(lk::learned(t), lk::forward_kl{});
#else
  lk::at_temperature(lk::learned(2.0), lk::forward_kl{});
#endif
}
