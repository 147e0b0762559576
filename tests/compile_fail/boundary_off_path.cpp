// A boundary of a consistency model holds on one path.
// expect: limbeck: this boundary of a consistency model is of the path that its `path` names, and the times are on another
// times: 4
#include <limbeck/diffusion/consistency.hpp>

namespace lk = limbeck;

void use(const lk::rows<const float>& f, const lk::rows<const float>& x);
void use(const lk::rows<const float>& f, const lk::rows<const float>& x) {
#ifdef LIMBECK_CONTROL
  const auto noise = lk::levels(lk::edm{}, 0.5);
  const auto flat = lk::levels(lk::rectified{}, 0.5);
  (void)lk::consistency_sample(lk::latent_boundary{}, f, x, flat);  // of any path
  (void)lk::consistency_sample(lk::latent_boundary{}, f, x, noise);
#else
  const auto noise = lk::levels(lk::rectified{}, 0.5);
  const auto flat = lk::levels(lk::edm{}, 0.5);
#endif
  const auto to = lk::levels(lk::edm{}, 0.1);
  (void)lk::consistency_sample(lk::edm_boundary{}, f, x, noise);
  (void)lk::consistency_slope(lk::straight_boundary{}, f, flat);
  (void)lk::consistency_sample(lk::bidirectional_boundary{}, f, x, noise, to);
  (void)lk::consistency_slope(lk::bidirectional_boundary{}, f, to, noise);
}
