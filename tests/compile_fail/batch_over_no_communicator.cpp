// A number of ranks in the place of a communicator.
// expect: limbeck: batch_over(world) takes a communicator: mpi, one_rank, or a class with rank, size, all_gather, all_to_all and broadcast
#include <limbeck/ranks.hpp>

namespace lk = limbeck;

void use();
void use() {
#ifdef LIMBECK_CONTROL
  const lk::one_rank world;
  lk::batch_over(world);
#else
  lk::batch_over(4);
#endif
}
