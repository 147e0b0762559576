// An option that the loss does not have.
// expect: limbeck: with<&policy::option>(x, loss): this loss is another than that of the option
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

#ifdef LIMBECK_CONTROL
const auto o = lk::with<&lk::skew_kl::alpha>(0.2, lk::skew_kl{});
#else
const auto o = lk::with<&lk::skew_kl::alpha>(0.2, lk::skew_reverse_kl{});
#endif
