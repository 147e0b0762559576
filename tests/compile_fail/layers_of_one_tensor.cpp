// at_layers at an output that is one tensor.
// expect: names an output of the student that is no list of tensors
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

double use(const std::vector<lk::rows<const float>>& layers);
double use(const std::vector<lk::rows<const float>>& layers) {
#ifdef LIMBECK_CONTROL
  const lk::outputs s{lk::output<"hidden">(layers)};
#else
  const lk::outputs s{lk::output<"hidden">(layers[0])};
#endif
  return lk::at_layers<"hidden">(lk::layer_map::evenly(1, 1), lk::mse{}).value(s, s);
}
