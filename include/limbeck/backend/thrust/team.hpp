#ifndef LIMBECK_BACKEND_THRUST_TEAM_HPP
#define LIMBECK_BACKEND_THRUST_TEAM_HPP

/// @file
/// The teams of a device, see core/team.hpp.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/core/team.hpp>

#include <cstddef>

#if LIMBECK_ON_CUDA
#include <cub/block/block_reduce.cuh>
#include <cub/warp/warp_reduce.cuh>
#endif

LIMBECK_BEGIN_NAMESPACE
namespace detail {

#if LIMBECK_ON_CUDA

struct add_arrays {
  template <class T, std::size_t N>
  __device__ team_array<T, N> operator()(const team_array<T, N>& a, const team_array<T, N>& b) const {
    team_array<T, N> c;
    for (std::size_t i = 0; i < N; ++i) c.v[i] = a.v[i] + b.v[i];
    return c;
  }
};
struct highest_of_arrays {
  template <class T, std::size_t N>
  __device__ team_array<T, N> operator()(const team_array<T, N>& a, const team_array<T, N>& b) const {
    team_array<T, N> c;
    for (std::size_t i = 0; i < N; ++i) c.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return c;
  }
};

/// A load of 16 bytes a thread.
template <class T>
inline constexpr std::size_t device_width = 16 / sizeof(T);

/// A warp; @p Warps of them share a block.
template <int Warps>
struct warp_team {
  static constexpr bool alone = false;
  template <class T>
  static constexpr std::size_t width = device_width<T>;
  __device__ static std::size_t rank() { return threadIdx.x % 32; }
  __device__ static constexpr std::size_t size() { return 32; }
  template <class A>
  __device__ A sum(const A& a) const {
    return reduce(a, add_arrays{});
  }
  template <class A>
  __device__ A highest(const A& a) const {
    return reduce(a, highest_of_arrays{});
  }
  __device__ static void wait() { __syncwarp(); }
  /// All lanes compute it: they would wait anyway.
  template <class F>
  __device__ auto once(F&& f) const {
    return f();
  }

 private:
  template <class T, std::size_t N, class Operation>
  __device__ static team_array<T, N> reduce(const team_array<T, N>& a, Operation operation) {
    using Reduce = cub::WarpReduce<team_array<T, N>>;
    __shared__ typename Reduce::TempStorage storage[Warps];
    team_array<T, N> total = Reduce(storage[threadIdx.x / 32]).Reduce(a, operation);
    for (std::size_t i = 0; i < N; ++i) total.v[i] = __shfl_sync(0xffffffffu, total.v[i], 0);
    return total;
  }
};

/// A block of @p Threads.
template <int Threads>
struct block_team {
  static constexpr bool alone = false;
  template <class T>
  static constexpr std::size_t width = device_width<T>;
  __device__ static std::size_t rank() { return threadIdx.x; }
  __device__ static constexpr std::size_t size() { return Threads; }
  template <class A>
  __device__ A sum(const A& a) const {
    return reduce(a, add_arrays{});
  }
  template <class A>
  __device__ A highest(const A& a) const {
    return reduce(a, highest_of_arrays{});
  }
  __device__ static void wait() { __syncthreads(); }
  /// The first thread computes it. Once a kernel for each @p F: the shared result is not guarded against reuse.
  template <class F>
  __device__ auto once(F&& f) const {
    using R = decltype(f());
    __shared__ alignas(16) unsigned char storage[sizeof(R)];
    R& result = *reinterpret_cast<R*>(storage);
    if (threadIdx.x == 0) result = f();
    __syncthreads();
    return result;
  }

 private:
  // CUB's barrier stands between the readers of one result and the writer of the next
  template <class T, std::size_t N, class Operation>
  __device__ static team_array<T, N> reduce(const team_array<T, N>& a, Operation operation) {
    using Reduce = cub::BlockReduce<team_array<T, N>, Threads, cub::BLOCK_REDUCE_WARP_REDUCTIONS>;
    __shared__ typename Reduce::TempStorage storage;
    __shared__ team_array<T, N> result;
    const team_array<T, N> total = Reduce(storage).Reduce(a, operation);
    if (threadIdx.x == 0) result = total;
    __syncthreads();
    return result;
  }
};

#endif

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
