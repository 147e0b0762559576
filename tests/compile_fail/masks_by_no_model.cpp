// A model that takes tokens alone.
// expect: limbeck: masks are filled by a model of texts
#include <limbeck/diffusion/unmask.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> logits(6);
std::vector<lk::token_id> text{2, 2};
const std::vector<double> times{1, 0};

#ifdef LIMBECK_CONTROL
const auto model = [](std::span<const lk::token_id> x, std::span<const double>) { return lk::rows<const float>(logits.data(), x.size(), 3); };
#else
const auto model = [](std::span<const lk::token_id> x) { return lk::rows<const float>(logits.data(), x.size(), 3); };
#endif

void use();
void use() { lk::fill_masks(model, lk::log_linear_masking{}, text, lk::segments::padded(1, 2), times, {.mask = 2}); }
