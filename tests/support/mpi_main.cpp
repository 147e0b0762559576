// The main function of tests over MPI: every rank runs the same cases in the same order; what rank 0 prints is the report.
#define CATCH_CONFIG_RUNNER
#include "ranks.hpp"

int main(int argc, char** argv) {
  return limbeck::mpi_main(argc, argv, [&](const limbeck::mpi& world) {
    ranks::world = &world;
    if (world.rank() != 0) std::fclose(stdout);
    return Catch::Session().run(argc, argv);
  });
}
