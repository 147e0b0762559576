// Every component that the consumer asked for can be included and linked together.
#ifdef HAS_EIGEN
#include <limbeck/eigen.hpp>
#endif
#ifdef HAS_XTENSOR
#include <limbeck/xtensor.hpp>
#endif
#ifdef HAS_THRUST
#include <limbeck/thrust.hpp>
#endif
#ifdef HAS_TRAINER
#include <limbeck/trainer.hpp>
#endif
#ifdef HAS_IO
#include <limbeck/io.hpp>
#endif
#ifdef HAS_DLPACK
#include <limbeck/dlpack.hpp>
#endif
#ifdef HAS_MPI
#include <limbeck/mpi.hpp>
#endif
#ifdef HAS_TORCH
#include <limbeck/torch.hpp>
#endif
#include <limbeck/limbeck.hpp>

#ifdef HAS_OPENMP
#include <omp.h>
#endif

int main() {
#ifdef HAS_MPI
  int begun = 1;
  MPI_Initialized(&begun);  // it is linked; to begin needs what starts ranks
  if (begun) return 1;
#endif
#ifdef HAS_OPENMP
  if (omp_get_max_threads() < 1) return 1;
#endif
  return limbeck::cross_entropy{}.smoothing == 0 ? 0 : 1;
}
