// A model that takes tokens alone.
// expect: limbeck: decoding asks a scorer
#include <limbeck/decoding/interleaved.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> logits(3);
const std::vector<std::vector<lk::token_id>> prompts{{1}};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  auto model = [](std::span<const lk::prefix> requests) { return lk::rows<const float>(logits.data(), requests.size(), 3); };
#else
  auto model = [](std::span<const lk::token_id>) { return lk::rows<const float>(logits.data(), 1, 3); };
#endif
  lk::sample(model, prompts);
  lk::sample(lk::interleaved(model, model), prompts);
}
