// A selector that reads the whole pool cannot be asked over ranks.
// expect: limbeck: this selector cannot be asked over ranks, it has no over(communicator, pool, query)
#include <limbeck/ranks.hpp>
#include <limbeck/selection.hpp>

namespace lk = limbeck;

int main() {
  const float numbers[6] = {};
  const lk::rows<const float> pool(numbers, 3, 2);
  const lk::one_rank world;
#ifndef LIMBECK_CONTROL
  const lk::typiclust<> selector;
#else
  const lk::k_center<> selector;
#endif
  return static_cast<int>(lk::over_ranks(world, selector)(pool, {.budget = 1})[0]);
}
