#ifndef LIMBECK_TORCH_TRAINER_HPP
#define LIMBECK_TORCH_TRAINER_HPP

/// @file
/// LibTorch's modules, optimisers and tensors as what a trainer asks for. The trainer itself is in `<limbeck/trainer.hpp>`.

#include <limbeck/interop/torch_data.hpp>
#include <limbeck/interop/torch_module.hpp>
#include <limbeck/interop/torch_optimizer.hpp>
#include <limbeck/torch.hpp>

#endif
