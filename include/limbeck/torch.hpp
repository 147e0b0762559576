#ifndef LIMBECK_TORCH_HPP
#define LIMBECK_TORCH_HPP

/// @file
/// Limbeck over LibTorch's tensors.

#include <limbeck/interop/torch.hpp>
#include <limbeck/limbeck.hpp>

#endif
