#ifndef LIMBECK_TORCH_CUDA_HPP
#define LIMBECK_TORCH_CUDA_HPP

/// @file
/// Limbeck over LibTorch's tensors on the CPU and on CUDA devices, for files that nvcc compiles.

#include <limbeck/thrust.hpp>

#include <limbeck/interop/torch_cuda.hpp>
#include <limbeck/torch.hpp>

#endif
