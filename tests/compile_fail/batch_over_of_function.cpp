// A function in the place of the objective that all ranks call.
// expect: limbeck: batch_over(world, objective) takes a loss or a composition of losses; a function of yours adds batch_over(world) to the arguments of its call
#include <limbeck/limbeck.hpp>
#include <limbeck/ranks.hpp>

namespace lk = limbeck;

void use();
void use() {
  const lk::one_rank world;
  const lk::objective objective{lk::forward_kl{}};
#ifdef LIMBECK_CONTROL
  (void)lk::batch_over(world, objective);
#else
  lk::batch_over(world, [&](const auto&... all) { return objective(all...); });
#endif
}
