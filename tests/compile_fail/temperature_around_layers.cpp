// A temperature around losses of which each is a sweep of its own.
// expect: a temperature, a signal or a domain stands inside at_layers, around its loss
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

double use(const std::vector<lk::rows<const float>>& layers);
double use(const std::vector<lk::rows<const float>>& layers) {
  const lk::outputs s{lk::output<"hidden">(layers)};
  const auto map = lk::layer_map::evenly(1, 1);
#ifdef LIMBECK_CONTROL
  return lk::at_layers<"hidden">(map, lk::at_temperature(2.0, lk::forward_kl{})).value(s, s);
#else
  return lk::at_temperature(2.0, lk::at_layers<"hidden">(map, lk::forward_kl{})).value(s, s);
#endif
}
