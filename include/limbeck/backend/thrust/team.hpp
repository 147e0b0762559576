#ifndef LIMBECK_BACKEND_THRUST_TEAM_HPP
#define LIMBECK_BACKEND_THRUST_TEAM_HPP

/// @file
/// The teams of a GPU, see core/team.hpp: a few lanes of a warp, or a block with the other blocks of its cluster.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/core/team.hpp>

#include <cstddef>

#if LIMBECK_ON_CUDA

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#include <cooperative_groups.h>
#endif

LIMBECK_BEGIN_NAMESPACE
namespace detail {

struct add_numbers {
  template <class V>
  __device__ V operator()(const V& a, const V& b) const {
    return a + b;
  }
};
/// Passes over NaN, whichever side it is on.
struct higher_number {
  template <class V>
  __device__ V operator()(const V& a, const V& b) const {
    return a > b || b != b ? a : b;
  }
};

/// A load of 16 bytes a thread.
template <class T>
inline constexpr std::size_t device_width = 16 / sizeof(T);

/// Neighbouring lanes of a warp, a power of two of them: several short rows share a warp, each going its own way.
class lanes_team {
 public:
  static constexpr bool alone = false;
  template <class T>
  static constexpr std::size_t width = device_width<T>;
  __host__ __device__ explicit lanes_team(unsigned lanes = 32) : lanes_(lanes) {}
  __device__ std::size_t rank() const { return threadIdx.x & (lanes_ - 1); }
  __device__ std::size_t size() const { return lanes_; }
  template <class A>
  __device__ A sum(const A& a) const {
    return reduce(a, add_numbers{});
  }
  template <class A>
  __device__ A highest(const A& a) const {
    return reduce(a, higher_number{});
  }
  __device__ void wait() const { __syncwarp(mask()); }

 private:
  __device__ unsigned mask() const {
    return lanes_ == 32 ? 0xffffffffU : ((1U << lanes_) - 1) << (threadIdx.x % 32 & ~(lanes_ - 1));
  }
  /// Each lane adds up the same pairs, so that all have the same bits.
  template <class V, std::size_t N, class Operation>
  __device__ team_array<V, N> reduce(team_array<V, N> a, Operation operation) const {
    wait();  // an exchange of numbers alone would not order what was read and written before
    for (unsigned apart = lanes_ / 2; apart > 0; apart /= 2)
      for (std::size_t i = 0; i < N; ++i) a.v[i] = operation(a.v[i], __shfl_xor_sync(mask(), a.v[i], static_cast<int>(apart)));
    return a;
  }

  unsigned lanes_;
};

/// Threads of one block, of a power of two of warps, over numbers in registers.
struct block_of_threads {
  template <class V>
  static constexpr std::size_t width = 1;
  __device__ static std::size_t rank() { return threadIdx.x; }
  __device__ static std::size_t size() { return blockDim.x; }
  template <class A>
  __device__ A sum(const A& a) const {
    return reduce(a, add_numbers{});
  }
  /// The first wait stands between those who read the reduction before and who write this one.
  template <class V, std::size_t N, class Operation>
  __device__ static team_array<V, N> reduce(const team_array<V, N>& a, Operation operation) {
    __shared__ team_array<V, N> of_warps[32];
    const team_array<V, N> mine = across(a, 32, operation);
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = mine;
    __syncthreads();
    const unsigned warps = blockDim.x / 32;
    return across(of_warps[threadIdx.x & (warps - 1)], warps, operation);
  }

 private:
  template <class V, std::size_t N, class Operation>
  __device__ static team_array<V, N> across(team_array<V, N> a, unsigned lanes, Operation operation) {
    for (unsigned apart = lanes / 2; apart > 0; apart /= 2)
      for (std::size_t i = 0; i < N; ++i)
        a.v[i] = operation(a.v[i], __shfl_xor_sync(0xffffffffU, a.v[i], static_cast<int>(apart)));
    return a;
  }
};

/// A block of up to 32 warps, a power of two of them; in a launch of clusters, all blocks of one share a row, each with a part
/// of it in its memory.
class block_team {
 public:
  static constexpr bool alone = false;
  template <class T>
  static constexpr std::size_t width = device_width<T>;
  /// @p share: elements in the memory of each block.
  __host__ __device__ explicit block_team(std::size_t share = static_cast<std::size_t>(-1) / 32) : share_(share) {
#if __CUDA_ARCH__ >= 900
    blocks_ = cooperative_groups::this_cluster().num_blocks();
    block_ = cooperative_groups::this_cluster().block_rank();
#endif
  }
  __device__ std::size_t rank() const { return block_ * blockDim.x + threadIdx.x; }
  __device__ std::size_t size() const { return blocks_ * blockDim.x; }
  __device__ team_part part() const { return {block_ * share_, (block_ + 1) * share_}; }
  __device__ std::size_t rank_in_part() const { return threadIdx.x; }
  __device__ std::size_t size_of_part() const { return blockDim.x; }
  template <class A>
  __device__ A sum(const A& a) const {
    return reduce(a, add_numbers{});
  }
  template <class A>
  __device__ A highest(const A& a) const {
    return reduce(a, higher_number{});
  }
  __device__ void wait() const {
#if __CUDA_ARCH__ >= 900
    if (blocks_ > 1) return cooperative_groups::this_cluster().sync();
#endif
    __syncthreads();
  }

 private:
  template <class V, std::size_t N, class Operation>
  __device__ team_array<V, N> reduce(const team_array<V, N>& a, Operation operation) const {
    team_array<V, N> total = block_of_threads::reduce(a, operation);
#if __CUDA_ARCH__ >= 900
    if (blocks_ > 1) {
      __shared__ team_array<V, N> of_block;
      const auto cluster = cooperative_groups::this_cluster();
      cluster.sync();
      if (threadIdx.x == 0) of_block = total;
      cluster.sync();
      total = *cluster.map_shared_rank(&of_block, 0);
#pragma unroll 1
      for (unsigned b = 1; b < blocks_; ++b) {
        const team_array<V, N>& other = *cluster.map_shared_rank(&of_block, b);
        for (std::size_t i = 0; i < N; ++i) total.v[i] = operation(total.v[i], other.v[i]);
      }
    }
#endif
    return total;
  }

  std::size_t share_;
  unsigned block_ = 0, blocks_ = 1;
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif

#endif
