#ifndef LIMBECK_NCCL_HPP
#define LIMBECK_NCCL_HPP

/// @file
/// Ranks with a device each, over NCCL: nvcc, and `-lnccl`. Compiled against NCCL 2.28; it has not run on devices yet.

#include <limbeck/backend/thrust/nccl.hpp>
#include <limbeck/ranks.hpp>

#endif
