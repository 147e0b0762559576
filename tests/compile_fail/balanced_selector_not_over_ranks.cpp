// A selector inside of another that is asked over ranks, and cannot be.
// expect: limbeck: this selector cannot be asked over ranks, it has no over(communicator, pool, query); those that can are named in the guide, docs/guide/ranks.md
#include <limbeck/ranks.hpp>
#include <limbeck/selection.hpp>

#include <vector>

namespace lk = limbeck;

int main() {
  const std::vector<float> memory(6);
  const lk::rows<const float> own(memory.data(), 3, 2);
  const lk::one_rank world;
  const lk::communicator_ref ranks(world);
#ifndef LIMBECK_CONTROL
  return lk::over_ranks(ranks, lk::balanced_by_prediction(lk::typiclust{}))(own, {.budget = 1}).empty();
#else
  return lk::over_ranks(ranks, lk::balanced_by_prediction(lk::k_center{}))(own, {.budget = 1}).empty();
#endif
}
