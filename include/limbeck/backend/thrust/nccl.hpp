#ifndef LIMBECK_BACKEND_THRUST_NCCL_HPP
#define LIMBECK_BACKEND_THRUST_NCCL_HPP

/// @file
/// Ranks with a device each, over NCCL.

#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/core/half.hpp>
#include <limbeck/ranks/reductions.hpp>

#if !LIMBECK_ON_CUDA
#error "limbeck: NCCL moves bytes between CUDA devices; compile this file with nvcc, without THRUST_DEVICE_SYSTEM"
#endif

#include <nccl.h>

#include <thrust/device_vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// Leaves the order of a sum to NCCL: `all_reduce_sum(devices, gradients, any_order)`.
struct any_order_t {};
/// Its only value.
inline constexpr any_order_t any_order{};

namespace detail {

/// to_i = ((parts_0,i + parts_1,i) + parts_2,i) + ..., where part k begins at k * length.
template <class T>
__global__ void __launch_bounds__(256) sum_of_ranks(const T* parts, std::size_t length, unsigned ranks, T* to) {
  using number = arithmetic_of_t<T>;  // 16 bits are widened, and rounded once
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < length; i += step) {
    number x = static_cast<number>(parts[i]);
    for (unsigned k = 1; k < ranks; ++k) x += static_cast<number>(parts[k * length + i]);
    to[i] = static_cast<T>(x);
  }
}

/// NCCL's word for a type.
template <class T>
constexpr ncclDataType_t nccl_type() {
  if constexpr (std::is_same_v<T, float>) return ncclFloat32;
  else if constexpr (std::is_same_v<T, double>) return ncclFloat64;
  else if constexpr (std::is_same_v<T, float16>) return ncclFloat16;
  else if constexpr (std::is_same_v<T, bfloat16>) return ncclBfloat16;
  else if constexpr (std::is_integral_v<T> && sizeof(T) == 4) return std::is_signed_v<T> ? ncclInt32 : ncclUint32;
  else if constexpr (std::is_integral_v<T> && sizeof(T) == 8) return std::is_signed_v<T> ? ncclInt64 : ncclUint64;
  else static_assert(sizeof(T) == 0, "limbeck: NCCL sums float, double, float16, bfloat16 and integers of 32 and 64 bits");
}

}  // namespace detail

/// Ranks with a device each; needs NCCL 2.13 or later, nvcc, and `-lnccl`. As a `communicator` it moves bytes of the host, by way of
/// the device, and each call waits; sums of what lies on the device are its own (`all_reduce_sum` below), and wait for nothing.
///
///     cudaSetDevice(rank_on_this_machine);
///     const lk::nccl devices(world, stream);           // world: mpi, which tells all ranks where the first is to be found
///     lk::all_reduce_sum(devices, gradients);          // in device memory, on the stream
///
/// All of one object's work is on its stream. Memory on the device: what the largest call has needed.
/// @throws std::runtime_error with NCCL's own words where a call of NCCL's fails.
class nccl {
 public:
  /// Of the ranks of @p of, each with its current device, two with different ones; what they do is on @p stream. All ranks make it
  /// together. @p of is used here alone: 128 bytes travel, and what a rank cannot do, all throw.
  template <communicator C>
  explicit nccl(const C& of, device_stream stream = {}) : stream_(stream), rank_(of.rank()), size_(of.size()) {
    ncclUniqueId id{};
    agree(of, [&] {
      int device = 0;
      detail::require_success(cudaGetDevice(&device), "limbeck: asking for the device");
      if (rank_ == 0) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    });
    limbeck::broadcast(of, std::span<ncclUniqueId>(&id, 1), 0);
    check(ncclCommInitRank(&comm_, size_, id, rank_), "ncclCommInitRank");
  }
  nccl(const nccl&) = delete;
  nccl& operator=(const nccl&) = delete;
  /// Waits for the others, unless this rank is giving up.
  ~nccl() {
    if (std::uncaught_exceptions() > thrown_) (void)ncclCommAbort(comm_);
    else (void)ncclCommDestroy(comm_);
  }

  /// Which one this is.
  int rank() const { return rank_; }
  /// How many there are.
  int size() const { return size_; }
  /// ncclAllGather.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
    if (mine.empty()) return;
    std::byte* const there = memory_.reserve(all.size());
    std::byte* const own = there + static_cast<std::size_t>(rank_) * mine.size();
    bring(mine, own);
    gather(own, there, mine.size());
    detail::fetch_from_device(all.data(), there, all.size(), stream_);
  }
  /// ncclSend and ncclRecv with each.
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const {
    if (mine.empty()) return;
    std::byte* const from = memory_.reserve(2 * mine.size());
    std::byte* const to = from + mine.size();
    bring(mine, from);
    exchange(from, to, mine.size() / static_cast<std::size_t>(size_));
    detail::fetch_from_device(all.data(), to, all.size(), stream_);
  }
  /// ncclBroadcast.
  void broadcast(std::span<std::byte> bytes, int root) const {
    if (bytes.empty()) return;
    std::byte* const there = memory_.reserve(bytes.size());
    if (rank_ == root) bring(bytes, there);
    check(ncclBroadcast(there, there, bytes.size(), ncclUint8, root, comm_, stream_), "ncclBroadcast");
    if (rank_ == root) detail::wait_for_device(stream_);
    else detail::fetch_from_device(bytes.data(), there, bytes.size(), stream_);
  }

  /// NCCL's own, for calls of yours.
  ncclComm_t handle() const { return comm_; }
  /// The stream of its calls.
  device_stream stream() const { return stream_; }

  /// @cond
  /// Each rank sums a piece of x and hands it to all; what no piece of equal length takes, or what is short, all sum.
  template <class T>
  void sum_in_order(T* x, std::size_t length) const {
    const auto n = static_cast<std::size_t>(size_);
    if (n == 1 || length == 0) return;
    constexpr std::size_t is_short = 4096;  // bytes: there, what a message costs is that it is one
    const std::size_t rest = length * sizeof(T) <= is_short ? length : length % n, piece = length / n * (rest < length);
    T* const parts = reinterpret_cast<T*>(memory_.reserve(n * (std::max)(piece, rest) * sizeof(T)));
    if (piece > 0) {
      exchange(x, parts, piece * sizeof(T));
      T* const own = x + static_cast<std::size_t>(rank_) * piece;
      sum(parts, piece, own);
      gather(own, x, piece * sizeof(T));
    }
    if (rest > 0) {
      T* const last = x + length - rest;
      gather(last, parts, rest * sizeof(T));
      sum(parts, rest, last);
    }
  }
  template <class T>
  void sum_in_any_order(T* x, std::size_t length) const {
    if (size_ > 1 && length > 0) check(ncclAllReduce(x, x, length, detail::nccl_type<T>(), ncclSum, comm_, stream_), "ncclAllReduce");
  }
  /// @endcond

 private:
  void check(ncclResult_t result, const char* call) const {
    if (result == ncclSuccess) return;
    const char* const more = ncclGetLastError(comm_);
    raise<std::runtime_error>(std::string("limbeck: ") + call + ": " + ncclGetErrorString(result) + (more && *more ? ": " : "") +
                              (more ? more : ""));
  }
  void bring(std::span<const std::byte> from, std::byte* to) const {
    detail::require_success(cudaMemcpyAsync(to, from.data(), from.size(), cudaMemcpyHostToDevice, stream_),
                            "limbeck: bringing bytes to a device");
  }
  void gather(const void* mine, void* all, std::size_t bytes) const {
    check(ncclAllGather(mine, all, bytes, ncclUint8, comm_, stream_), "ncclAllGather");
  }
  /// Piece k of @p from goes to rank k; piece k of @p to comes from it.
  void exchange(const void* from, void* to, std::size_t piece) const {
    check(ncclGroupStart(), "ncclGroupStart");
    for (int k = 0; k < size_; ++k) {
      const std::size_t at = static_cast<std::size_t>(k) * piece;
      check(ncclSend(static_cast<const std::byte*>(from) + at, piece, ncclUint8, k, comm_, stream_), "ncclSend");
      check(ncclRecv(static_cast<std::byte*>(to) + at, piece, ncclUint8, k, comm_, stream_), "ncclRecv");
    }
    check(ncclGroupEnd(), "ncclGroupEnd");
  }
  template <class T>
  void sum(const T* parts, std::size_t length, T* to) const {
    const auto blocks = static_cast<unsigned>((std::min)((length + 255) / 256, std::size_t{4096}));
    detail::sum_of_ranks<T><<<blocks, 256, 0, stream_>>>(parts, length, static_cast<unsigned>(size_), to);
    detail::require_success(cudaGetLastError(), "limbeck: summing what ranks have brought");
  }

  ncclComm_t comm_ = nullptr;
  device_stream stream_;
  int rank_, size_;
  int thrown_ = std::uncaught_exceptions();
  mutable detail::device_block memory_;
};

namespace detail {

inline void require_neighbours(bool they_are) {
  if (!they_are) raise<value_error>("limbeck: a sum over ranks takes numbers that are neighbours in memory, and these are strided");
}
template <class T>
device_span<T> whole_memory(const device_span<T>& x) {
  require_neighbours(x.stride() == 1);
  return x;
}
template <class T>
device_span<T> whole_memory(const device_rows<T>& x) {
  const rows<T>& m = x.memory;
  require_neighbours(m.class_stride == 1 && m.sample_stride == static_cast<std::ptrdiff_t>(m.classes));
  return {m.data, m.samples * m.classes};
}
template <class T, class A>
device_span<device_element_t<T>> whole_memory(thrust::device_vector<T, A>& x) {
  return whole_memory(device_rows_at(thrust::raw_pointer_cast(x.data()), 1, x.size()));
}
template <class X>
concept device_numbers = requires(X& x) { requires !std::is_const_v<std::remove_pointer_t<decltype(whole_memory(x).data())>>; };

}  // namespace detail

/// x_i = the sum of the ranks' x_i, in device memory and in the order of the ranks: as many ranks, the same bits, and on all. Numbers of
/// 16 bits are summed in float and rounded once. Waits for nothing; (size - 1)/size of the bytes travel twice, or all once to each
/// where they are at most 4 KiB. As much memory again. @p x: a thrust::device_vector, `device_span` or `device_rows`.
/// @throws value_error where @p x is strided.
template <class X>
  requires detail::device_numbers<X>
void all_reduce_sum(const nccl& comm, X&& x) {
  const auto whole = detail::whole_memory(x);
  comm.sum_in_order(whole.data(), whole.size());
}
/// By ncclAllReduce, in place and without memory: the fastest way, whose bits depend on the machines, on how they are wired and on
/// NCCL's version; 16 bits are rounded at each step.
template <class X>
  requires detail::device_numbers<X>
void all_reduce_sum(const nccl& comm, X&& x, any_order_t) {
  const auto whole = detail::whole_memory(x);
  comm.sum_in_any_order(whole.data(), whole.size());
}

LIMBECK_END_NAMESPACE

#endif
