// A number of all rows where they are there a chunk at a time.
// expect: limbeck: median_of, quantile_of, mean_of and share_of read all rows before the first is swept, and logits_of shows them a
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(16);
const lk::rows<const float> hidden(memory.data(), 2, 2), weights(memory.data(), 4, 2), teacher(memory.data(), 2, 4);

double use();
double use() {
  const auto u = lk::of_student(lk::entropy{});
#ifdef LIMBECK_CONTROL
  return ((u > 1.0) * lk::forward_kl{}).value(lk::logits_of(hidden, weights), teacher);
#else
  return ((u > lk::median_of(u)) * lk::forward_kl{}).value(lk::logits_of(hidden, weights), teacher);
#endif
}
