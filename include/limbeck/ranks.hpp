#ifndef LIMBECK_RANKS_HPP
#define LIMBECK_RANKS_HPP

/// @file
/// Beyond one machine: what ranks do together, over any communicator. For MPI include limbeck/mpi.hpp.

#include <limbeck/objective/classes_over.hpp>
#include <limbeck/objective/over_ranks.hpp>
#include <limbeck/ranks/batches.hpp>
#include <limbeck/ranks/communicator.hpp>
#include <limbeck/ranks/over_ranks.hpp>
#include <limbeck/ranks/reductions.hpp>
#include <limbeck/ranks/shards.hpp>
#include <limbeck/ranks/statistics.hpp>

#endif
