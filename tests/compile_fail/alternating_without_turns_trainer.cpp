// One turn alternates with nobody.
// expect: limbeck: alternating needs two turns at least, each of them turn(name, ...)
#include <limbeck/driver/alternating.hpp>

namespace lk = limbeck;

void use();
void use() {
  const auto step = [](const lk::draw_request&) { return 0.0; };
#ifdef LIMBECK_CONTROL
  lk::alternating({}, lk::turn("a", step), lk::turn("b", step));
#else
  lk::alternating({}, lk::turn("a", step));
#endif
}
