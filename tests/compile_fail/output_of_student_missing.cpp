// A loss at an output that the student does not return.
// expect: limbeck: a loss stands at an output that the student does not have
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;
using view = lk::rows<const float>;

double use(view z, view h, view t);
double use(view z, view h, view t) {
  const auto o = lk::forward_kl{} + lk::at<"layer3">(lk::hint{});
#ifdef LIMBECK_CONTROL
  return o.value(lk::outputs{lk::output<"logits">(z), lk::output<"layer3">(h)},
                 lk::outputs{lk::output<"logits">(t), lk::output<"layer3">(h)});
#else
  return o.value(z, lk::outputs{lk::output<"logits">(t), lk::output<"layer3">(h)});
#endif
}
