// A loss of labels has no two answers a class.
// expect: limbeck: bernoulli takes a loss that is a sum over classes of a function of p and q
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

void use();
void use() {
#ifdef LIMBECK_CONTROL
  (void)lk::bernoulli{lk::forward_kl{}};
#else
  (void)lk::bernoulli{lk::cross_entropy{}};
#endif
}
