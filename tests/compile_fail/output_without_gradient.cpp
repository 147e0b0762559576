// Gradients of several outputs that lack one.
// expect: limbeck: into(outputs{...}) lacks the gradient of an output that a loss looks at
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;
using view = lk::rows<const float>;

double use(view z, view h, lk::rows<float> gz, lk::rows<float> gh);
double use(view z, view h, lk::rows<float> gz, lk::rows<float> gh) {
  const auto both = lk::outputs{lk::output<"logits">(z), lk::output<"h">(h)};
#ifdef LIMBECK_CONTROL
  auto g = lk::outputs{lk::output<"logits">(gz), lk::output<"h">(gh)};
#else
  auto g = lk::outputs{lk::output<"logits">(gz)};
  static_cast<void>(gh);
#endif
  return (lk::forward_kl{} + lk::at<"h">(lk::hint{}))(both, both, lk::into(g)).loss;
}
