// A scorer whose logits stay on the device.
// expect: limbeck: decoding chooses tokens on the host
#include <limbeck/decoding/sample.hpp>
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<std::vector<lk::token_id>> prompts{{1}};

void use();
void use() {
#ifdef LIMBECK_CONTROL
  std::vector<float> logits(3);
  lk::sample([&](std::span<const lk::prefix>) { return lk::rows<const float>(logits.data(), 1, 3); }, prompts);
#else
  thrust::device_vector<float> logits(3);
  lk::sample([&](std::span<const lk::prefix>) { return lk::on_device(logits, 1, 3); }, prompts);
#endif
}
