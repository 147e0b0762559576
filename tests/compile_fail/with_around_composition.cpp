// An option of what is no policy.
// expect: limbeck: with<&policy::option>(x, policy) stands around a policy itself; temperatures, weights and sums stand around it
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

#ifdef LIMBECK_CONTROL
const auto o = lk::at_temperature(2.0, lk::with<&lk::skew_kl::alpha>(lk::linear(0.1, 0.2), lk::skew_kl{}));
#else
const auto o = lk::with<&lk::skew_kl::alpha>(lk::linear(0.1, 0.2), lk::at_temperature(2.0, lk::skew_kl{}));
#endif
