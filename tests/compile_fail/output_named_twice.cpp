// Two outputs of one name.
// expect: limbeck: two outputs have one name
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

auto use(lk::rows<float> a, lk::rows<float> b);
auto use(lk::rows<float> a, lk::rows<float> b) {
#ifdef LIMBECK_CONTROL
  return lk::outputs{lk::output<"logits">(a), lk::output<"layer3">(b)};
#else
  return lk::outputs{lk::output<"logits">(a), lk::output<"logits">(b)};
#endif
}
void call();
void call() { static_cast<void>(use({}, {})); }
