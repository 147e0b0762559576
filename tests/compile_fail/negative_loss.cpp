// expect: limbeck: a loss has no sign of its own
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
#ifndef LIMBECK_CONTROL
  (void)(-lk::forward_kl{});
#else
  (void)(-1.0 * lk::forward_kl{});
#endif
}
