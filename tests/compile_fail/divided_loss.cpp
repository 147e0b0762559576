// expect: limbeck: the weight of a loss stands on its left: 0.5 * loss
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
#ifndef LIMBECK_CONTROL
  (void)(lk::forward_kl{} / 2);
#else
  (void)(0.5 * lk::forward_kl{});
#endif
}
