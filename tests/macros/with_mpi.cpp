#include "before.hpp"

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "traps.hpp"

#include <limbeck/mpi.hpp>
