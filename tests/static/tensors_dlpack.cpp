#include <limbeck/dlpack.hpp>

#include <type_traits>

namespace lk = limbeck;

namespace {

static_assert(lk::run_time_tensor<DLTensor> && lk::run_time_tensor<DLManagedTensor> &&
              lk::run_time_tensor<lk::dlpack_tensor>);
static_assert(lk::run_time_tensor<lk::any_tensor> && !lk::tensor<lk::any_tensor> &&
              !lk::run_time_tensor<DLManagedTensor*>);
static_assert(std::is_nothrow_move_constructible_v<lk::dlpack_tensor> &&
              !std::is_copy_constructible_v<lk::dlpack_tensor>);

}  // namespace
