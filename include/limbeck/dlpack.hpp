#ifndef LIMBECK_DLPACK_HPP
#define LIMBECK_DLPACK_HPP

/// @file
/// Limbeck over DLPack tensors: whatever PyTorch, JAX, CuPy, NumPy or TVM hold.

#include <limbeck/interop/dlpack.hpp>
#include <limbeck/limbeck.hpp>

#endif
