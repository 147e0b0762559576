#ifndef LIMBECK_INTEROP_TORCH_CUDA_HPP
#define LIMBECK_INTEROP_TORCH_CUDA_HPP

/// @file
/// LibTorch's tensors where they live, on the CPU or on a device: `lk::torch_workspace ws;`, then
/// `differentiable(objective, logits, teacher, labels, ws).backward()`.

#include <limbeck/backend/thrust/run_time.hpp>
#include <limbeck/interop/torch.hpp>

#include <c10/core/DeviceGuard.h>
#if LIMBECK_ON_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include <memory>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

#if LIMBECK_ON_CUDA
inline device_stream torch_stream(const c10::Device& device) {
  return c10::cuda::getCurrentCUDAStream(device.index()).stream();
}
inline bool same_stream(device_stream a, device_stream b) { return a == b; }
#else
inline device_stream torch_stream(const c10::Device&) { return {}; }
inline bool same_stream(device_stream, device_stream) { return true; }
#endif

/// The tensor that says where a call runs: the student, its hidden states, or its first output.
template <class Student>
const at::Tensor& torch_tensor_of(const Student& x) {
  if constexpr (std::is_convertible_v<const Student&, const at::Tensor&>) {
    return x;
  } else if constexpr (requires { x.handles.hidden; }) {
    return x.handles.hidden;
  } else {
    return torch_tensor_of(std::get<0>(x.all).value);
  }
}

}  // namespace detail
/// @endcond

/// Scratch memory of calls on LibTorch's tensors, each of which runs where the student's logits live: on the host, or on their
/// device and in the order of torch's current stream there. Both sweeps are compiled. All tensors of one call live in one memory.
///
/// Under nvcc; with a C++ compiler Thrust's device is the host, and every tensor of the CPU runs there. One workspace serves one
/// call at a time; it keeps memory for each device and stream that it has met.
class torch_workspace {
 public:
  using limbeck_workspace = void;
  using limbeck_chooser = void;
  workspace& on_host() { return host_; }  ///< for calls on the host
  /// For calls on @p device, on torch's current stream there.
  device_workspace& on_device(const c10::Device& device) {
    const device_stream stream = detail::torch_stream(device);
    for (const auto& p : places_)
      if (p->device == device && detail::same_stream(p->memory.stream(), stream)) return p->memory;
    places_.push_back(std::make_unique<place>(place{device, device_workspace(stream)}));
    return places_.back()->memory;
  }

  /// @cond
  template <class Told, class Student, class F>
  auto choose(const Student& student, const F& f) {
    const auto run_there = [&] {
      const c10::Device device = detail::torch_tensor_of(student).device();
      const c10::DeviceGuard guard(device);
      return f(on_device(device));
    };
    if constexpr (std::is_same_v<Told, device_memory>) {
      return run_there();
    } else if constexpr (std::is_same_v<Told, host_rows>) {
      return f(host_);
    } else {
      if (detail::memory_of(student) == detail::kind_of_device) return run_there();
      return f(host_);
    }
  }
  /// @endcond

 private:
  struct place {
    c10::Device device;
    device_workspace memory;
  };
  workspace host_;
  std::vector<std::unique_ptr<place>> places_;
};

LIMBECK_END_NAMESPACE

#endif
