#ifndef LIMBECK_BACKEND_THRUST_SYSTEM_HPP
#define LIMBECK_BACKEND_THRUST_SYSTEM_HPP

/// @file
/// Which device this file is compiled for, and the four things that Limbeck asks of it: memory, zeros, a copy, a wait.
///
/// nvcc gives CUDA, and kernels. A C++ compiler gives one of Thrust's host systems (CPP, OMP, TBB), so that the same
/// code is built and tested where there is no GPU.

#if !defined(__CUDACC__) && !defined(THRUST_DEVICE_SYSTEM)
#error "limbeck: a C++ compiler cannot serve Thrust's default device, CUDA; compile this file with nvcc, or with -DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP (or _OMP, _TBB)"
#endif

#include <limbeck/core/config.hpp>

#include <thrust/detail/config.h>

#include <thrust/device_free.h>
#include <thrust/device_malloc.h>
#include <thrust/device_ptr.h>

#include <cstddef>
#include <cstring>

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#if !defined(__CUDACC__)
#error "limbeck: THRUST_DEVICE_SYSTEM is CUDA and this compiler is not nvcc; compile this file with nvcc, or with -DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP (or _OMP, _TBB)"
#endif
#if defined(__NVCC__) && !defined(__CUDACC_RELAXED_CONSTEXPR__)
#error "limbeck: nvcc needs --expt-relaxed-constexpr; Boost.Hana and parts of std are constexpr, not __device__"
#endif
#define LIMBECK_ON_CUDA 1
#define LIMBECK_DEVICE __device__
#define LIMBECK_NO_UNROLL _Pragma("unroll 1")
#include <thrust/system/cuda/error.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>
#else
/// 1: rows run in CUDA kernels; 0: in one of Thrust's host systems.
#define LIMBECK_ON_CUDA 0
/// Marks a function of the device, whichever that is.
#define LIMBECK_DEVICE
/// Keeps a loop over the classes of a row as it is: a body is four classes already, and registers are scarce.
#define LIMBECK_NO_UNROLL
#endif

LIMBECK_BEGIN_NAMESPACE

/// Memory that the device reads, and the sweep over it.
struct device_memory {};

#if LIMBECK_ON_CUDA
using device_stream = cudaStream_t;
#else
/// Host systems have no streams.
struct device_stream {};
#endif

namespace detail {

#if LIMBECK_ON_CUDA
inline void require_success(cudaError_t code, const char* what) {
  if (code != cudaSuccess) throw thrust::system_error(code, thrust::cuda_category(), what);
}
#endif

/// Zeros, in stream order.
inline void clear_device(void* to, std::size_t bytes, [[maybe_unused]] device_stream stream) {
#if LIMBECK_ON_CUDA
  require_success(cudaMemsetAsync(to, 0, bytes, stream), "limbeck: clearing device memory");
#else
  std::memset(to, 0, bytes);
#endif
}

/// Waits for all that the stream was given.
inline void wait_for_device([[maybe_unused]] device_stream stream) {
#if LIMBECK_ON_CUDA
  require_success(cudaStreamSynchronize(stream), "limbeck: waiting for a device");
#endif
}

/// To the host; waits for all that the stream was given before.
inline void fetch_from_device(void* to, const void* from, std::size_t bytes, [[maybe_unused]] device_stream stream) {
#if LIMBECK_ON_CUDA
  require_success(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "limbeck: reading a result");
  require_success(cudaStreamSynchronize(stream), "limbeck: waiting for a result");
#else
  std::memcpy(to, from, bytes);
#endif
}

/// Uninitialised device memory, freed with its owner.
class device_block {
 public:
  device_block() = default;
  device_block(const device_block&) = delete;
  device_block& operator=(const device_block&) = delete;
  device_block(device_block&& other) noexcept : memory_(other.memory_), size_(other.size_) { other.forget(); }
  device_block& operator=(device_block&& other) noexcept {
    if (this != &other) {
      release();
      memory_ = other.memory_;
      size_ = other.size_;
      other.forget();
    }
    return *this;
  }
  ~device_block() { release(); }

  std::size_t size() const { return size_; }
  /// At least @p bytes, aligned to 16; the content is unspecified. Freeing waits for the work that uses it.
  std::byte* reserve(std::size_t bytes) {
    if (bytes > size_) {
      release();
      // pages of doubles: every system aligns them
      memory_ = thrust::raw_pointer_cast(thrust::device_malloc<double>((bytes + 7) / 8));
      size_ = (bytes + 7) / 8 * 8;
    }
    return reinterpret_cast<std::byte*>(memory_);
  }
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(memory_); }

 private:
  void forget() {
    memory_ = nullptr;
    size_ = 0;
  }
  void release() noexcept {
    if (memory_) {
      try {
        thrust::device_free(thrust::device_pointer_cast(memory_));
      } catch (...) {  // the device is gone, and its memory with it
      }
    }
    forget();
  }
  double* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
