// A weight that takes the time of a row and not its level.
// expect: limbeck: a weight of levels is a small copyable function of a noise_level that gives a number, as kl_weight
#include <limbeck/diffusion.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  const std::vector<float> memory(6);
  std::vector<float> out(6);
  const lk::rows<const float> p(memory.data(), 2, 3);
  const auto at = lk::levels(lk::rectified{}, 0.5);
#ifndef LIMBECK_CONTROL
  lk::fill(lk::variational_score(lk::predicts_noise{}, p, p, at, [](double t) { return t; }), lk::rows<float>(out.data(), 2, 3));
#else
  lk::fill(lk::variational_score(lk::predicts_noise{}, p, p, at, [](const lk::noise_level& l) { return l.noise; }), lk::rows<float>(out.data(), 2, 3));
#endif
}
