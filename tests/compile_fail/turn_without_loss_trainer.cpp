// A step that says nothing of its loss.
// expect: limbeck: a turn's step is called with a const draw_request& and returns its loss, a number
#include <limbeck/driver/turn.hpp>

namespace lk = limbeck;

void use();
void use() {
#ifdef LIMBECK_CONTROL
  static_cast<void>(lk::turn("a", [](const lk::draw_request&) { return 0.0; }));
#else
  static_cast<void>(lk::turn("a", [](const lk::draw_request&) {}));
#endif
}
