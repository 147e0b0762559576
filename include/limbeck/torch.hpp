#ifndef LIMBECK_TORCH_HPP
#define LIMBECK_TORCH_HPP

/// @file
/// Limbeck over LibTorch's tensors.

#include <limbeck/version.hpp>
#if !LIMBECK_DETAIL_EXCEPTIONS
#error "limbeck: LibTorch reports its errors by exceptions; compile this file without -fno-exceptions"
#endif

#include <limbeck/interop/torch.hpp>
#include <limbeck/limbeck.hpp>

#endif
