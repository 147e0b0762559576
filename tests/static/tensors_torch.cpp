#include <limbeck/torch.hpp>

#include <torch/types.h>

namespace lk = limbeck;

namespace {

static_assert(lk::run_time_tensor<torch::Tensor> && lk::run_time_tensor<const torch::Tensor&>);
static_assert(!lk::tensor<torch::Tensor>);  // its type is known at run time only
static_assert(!lk::run_time_tensor<torch::Scalar> && !lk::run_time_tensor<std::vector<torch::Tensor>>);

}  // namespace
