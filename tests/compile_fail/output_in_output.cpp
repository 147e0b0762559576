// at<...> inside at<...>.
// expect: stands inside another one; a loss is at one output
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

void use();
void use() {
#ifdef LIMBECK_CONTROL
  static_cast<void>(lk::at<"a">(lk::hint{}) + lk::at<"b">(lk::hint{}));
#else
  static_cast<void>(lk::at<"a">(lk::at<"b">(lk::hint{})));
#endif
}
