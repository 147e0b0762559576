// between<"a", "b"> relates two outputs.
// expect: limbeck: between stands between two outputs of a student
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

void use();
void use() {
#ifdef LIMBECK_CONTROL
  static_cast<void>(lk::between<"a", "b">(lk::mse{}));
#else
  static_cast<void>(lk::between<"a", "a">(lk::mse{}));
#endif
}
