// A selector that tells only rows is asked for its covering over ranks.
// expect: limbeck: this selector tells nothing but its rows, it has no cover_over(communicator, pool, query)
#include <limbeck/ranks.hpp>
#include <limbeck/selection.hpp>

namespace lk = limbeck;

int main() {
  const float numbers[6] = {};
  const lk::rows<const float> pool(numbers, 3, 2);
  const lk::one_rank world;
#ifndef LIMBECK_CONTROL
  const lk::random_rows selector;
#else
  const lk::k_center<> selector;
#endif
  (void)lk::over_ranks(world, selector).cover(pool, {.budget = 1});
}
