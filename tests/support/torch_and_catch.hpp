#ifndef LIMBECK_TESTS_SUPPORT_TORCH_AND_CATCH_HPP
#define LIMBECK_TESTS_SUPPORT_TORCH_AND_CATCH_HPP

// LibTorch brings glog's CHECK along, which would pass for Catch's and end the program.
#include <torch/torch.h>
#undef CHECK

#include "catch.hpp"

#endif
