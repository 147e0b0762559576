#include "before.hpp"

#include <torch/torch.h>

#include "traps.hpp"

#include <limbeck/torch.hpp>
#include <limbeck/torch_trainer.hpp>
