// EDM's stochastic step adds noise by time, which is noise on one path alone.
// expect: limbeck: churned_heun_step is of the path edm
#include <limbeck/diffusion.hpp>

#include <vector>

namespace lk = limbeck;

void use(lk::rows<float> x);
void use(lk::rows<float> x) {
#ifdef LIMBECK_CONTROL
  const lk::edm path;
#else
  const lk::rectified path;
#endif
  auto sample = lk::reverse_process<float>(path, lk::predicts_clean{}, {1, 0}, lk::churned_heun_step{});
  sample([](const lk::rows<const float>& noisy, std::span<const double>) { return noisy; }, x);
}
