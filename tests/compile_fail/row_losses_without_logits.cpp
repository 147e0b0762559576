// Losses of rows are asked for, and no loss stands at the logits.
// expect: limbeck: row_losses(v) is of the losses at the logits, and this objective has none there
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;
using view = lk::rows<const float>;

double use(view h, view t, std::vector<float>& rows);
double use(view h, view t, std::vector<float>& rows) {
  const auto o = lk::at<"hidden">(lk::mse{});
  const lk::outputs s{lk::output<"hidden">(h)}, u{lk::output<"hidden">(t)};
#ifdef LIMBECK_CONTROL
  return o.value(s, u, lk::at<"hidden">(lk::row_losses(rows)));
#else
  return o.value(s, u, lk::row_losses(rows));
#endif
}
