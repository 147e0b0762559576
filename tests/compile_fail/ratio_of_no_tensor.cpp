// A vector in the place of a critic's logits.
// expect: limbeck: the logits of a critic are no tensor of floats
#include <limbeck/diffusion/density_ratio.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
std::vector<double> ratio(6);
#ifdef LIMBECK_CONTROL
const lk::rows<const float> logits(memory.data(), 6, 1);
#else
const auto& logits = memory;
#endif

void use();
void use() { lk::density_ratio(logits, ratio); }
