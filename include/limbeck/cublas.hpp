#ifndef LIMBECK_CUBLAS_HPP
#define LIMBECK_CUBLAS_HPP

/// @file
/// Limbeck over device memory with cuBLAS for its matrix products: nvcc, and `-lcublas`.

#include <limbeck/backend/thrust/cublas.hpp>
#include <limbeck/thrust.hpp>

#endif
