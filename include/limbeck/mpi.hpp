#ifndef LIMBECK_MPI_HPP
#define LIMBECK_MPI_HPP

/// @file
/// Ranks over MPI: `mpi`, `mpi_main`, and what ranks do together.

#include <limbeck/interop/mpi.hpp>
#include <limbeck/ranks.hpp>

#endif
