// A loss compares with an output that the teacher does not return: at<"kd"> alone names it on both sides.
// expect: limbeck: a loss compares with an output that the teacher does not have
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;
using view = lk::rows<const float>;

double use(view z, view h, view t);
double use(view z, view h, view t) {
  const auto student = lk::outputs{lk::output<"logits">(z), lk::output<"kd">(h)};
#ifdef LIMBECK_CONTROL
  return lk::at<"kd", "logits">(lk::forward_kl{}).value(student, t);
#else
  return lk::at<"kd">(lk::forward_kl{}).value(student, t);
#endif
}
