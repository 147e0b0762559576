#ifndef LIMBECK_BACKEND_THRUST_BATCH_HPP
#define LIMBECK_BACKEND_THRUST_BATCH_HPP

/// @file
/// Batches in device memory, for batchwise losses: who runs their rows, and where their numbers stand. The host reads nothing back.
///
/// Under nvcc a warp takes a row of up to 256 numbers and a block a longer one, on the workspace's stream; with a C++ compiler
/// Thrust's host systems run the same functors.

#include <limbeck/backend/thrust/dense.hpp>
#include <limbeck/backend/thrust/places.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/team.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/engine/batch.hpp>

#if LIMBECK_ON_CUDA
#include <cub/device/device_radix_sort.cuh>
#endif

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/fill.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Arrays of a device workspace.
using device_scratch = scratch_of<device_workspace, detail::device_block>;

/// A number on the device: constant + factor times what stands at an address, or the constant alone.
struct device_number {
  double constant = 0;         ///< what is added
  double factor = 1;           ///< of the number there
  const double* at = nullptr;  ///< on the device
  bool of_logits = false;      ///< which may be -inf: what is said where it is not finite
  /// @cond
  const detail::device_outcome* inner = nullptr;  // of an objective inside, which may know what is wrong
  bool told = false;                              // and is asked first
  /// @endcond

  /// @p c + @p f times what stands at @p p.
  device_number(double c, double f, const double* p) : constant(c), factor(f), at(p) {}
  /// A number that the host knows.
  device_number(double c) : constant(c) {}
  /// The number, on the device.
  LIMBECK_HOST_DEVICE double value() const { return at ? constant + factor * *at : constant; }
};

/// The stream on which the rows of a batch run.
struct device_tasks {
  device_stream stream{};  ///< of the workspace
};

namespace detail {

#if LIMBECK_ON_CUDA

inline constexpr int batch_warps = 4, batch_threads = 256;
inline constexpr std::size_t numbers_of_a_warp = 256;

template <class F>
__global__ void __launch_bounds__(32 * batch_warps) batch_rows_by_warps(const __grid_constant__ F f, std::size_t n) {
  const std::size_t r = static_cast<std::size_t>(blockIdx.x) * batch_warps + threadIdx.x / 32;
  if (r < n) f(lanes_team(), r);
}
template <class F>
__global__ void __launch_bounds__(batch_threads) batch_rows_by_blocks(const __grid_constant__ F f) {
  f(block_team(), static_cast<std::size_t>(blockIdx.x));
}
template <class F>
__global__ void __launch_bounds__(batch_threads) batch_rows_in_slots(const __grid_constant__ F f, std::size_t n) {
  const block_team team;
  for (std::size_t r = blockIdx.x; r < n; r += gridDim.x) {
    f(team, r, static_cast<std::size_t>(blockIdx.x));
    team.wait();  // the next row finds the slot's memory unused
  }
}

#else

template <class F>
struct batch_row {
  F f;
  void operator()(std::size_t r) const { f(single_team{}, r); }
};
template <class F>
struct batch_rows_of_slot {
  F f;
  std::size_t n, slots;
  void operator()(std::size_t slot) const {
    for (std::size_t r = slot; r < n; r += slots) f(single_team{}, r, slot);
  }
};

#endif

/// One team adds all values up, in one order.
struct add_values {
  const double* values;
  std::size_t n;
  double* total;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    const double sum = sum_own<double, double>(team, n, [&](std::size_t i) { return values[i]; });
    if (team.rank() == 0) *total = sum;
  }
};

inline constexpr std::size_t whole_block = 1024;  // "so many numbers that a block takes them"

}  // namespace detail

/// A device: its threads run the rows, each by a team.
template <>
struct batch_memory<device_memory> {
  using scratch_type = device_scratch;
  using executor_type = device_tasks;
  using number = device_number;  ///< a loss

  /// Where numbers live that a loss learns; what follows runs on the default stream.
  template <class T>
  using storage = thrust::device_vector<T>;
  template <class T>
  static device_span<T> view(thrust::device_vector<T>& v) {
    return {address(v), v.size()};
  }
  template <class T>
  static T* address(thrust::device_vector<T>& v) {
    return thrust::raw_pointer_cast(v.data());
  }
  template <class T>
  static const T* address(const thrust::device_vector<T>& v) {
    return thrust::raw_pointer_cast(v.data());
  }
  template <class T>
  static void fill(thrust::device_vector<T>& v, T value) {
    thrust::fill(v.begin(), v.end(), value);
  }
  template <class T>
  static void clear(thrust::device_vector<T>& v, const device_workspace& ws = device_workspace()) {
    detail::clear_device(thrust::raw_pointer_cast(v.data()), v.size() * sizeof(T), ws.stream());
  }
  template <class Archive, class T>
  static void serialize(Archive& archive, const char* name, thrust::device_vector<T>& v) {
    std::vector<T> staged(v.size());
    thrust::copy(v.begin(), v.end(), staged.begin());
    std::span<T> all(staged);
    archive(name, all);
    thrust::copy(staged.begin(), staged.end(), v.begin());
  }

  template <class Batch, class F>
  static void each_row(const Batch& x, std::size_t n, std::size_t width, const F& f) {
    each_row(x.on, n, width, f);
  }
  /// The same without a batch.
  template <class F>
  static void each_row([[maybe_unused]] const device_tasks& on, std::size_t n, [[maybe_unused]] std::size_t width, const F& f) {
    static_assert(std::is_trivially_copyable_v<F>, "limbeck: what runs on a device is copied to it");
    if (n == 0) return;
#if LIMBECK_ON_CUDA
    if (width <= detail::numbers_of_a_warp) {
      const auto blocks = static_cast<unsigned>((n + detail::batch_warps - 1) / detail::batch_warps);
      detail::batch_rows_by_warps<<<blocks, 32 * detail::batch_warps, 0, on.stream>>>(f, n);
    } else {
      detail::batch_rows_by_blocks<<<static_cast<unsigned>(n), detail::batch_threads, 0, on.stream>>>(f);
    }
    detail::require_success(cudaGetLastError(), "limbeck: launching rows of a batch");
#else
    detail::on_stream(on.stream, n, detail::batch_row<F>{f});
#endif
  }
  template <class Batch>
  static std::size_t slots(const Batch&, std::size_t n) {
    constexpr std::size_t most = LIMBECK_ON_CUDA ? 128 : 16;
    return n < most ? n : most;
  }
  template <class Batch, class F>
  static void each_row_in_slots([[maybe_unused]] const Batch& x, std::size_t n, std::size_t, std::size_t slots, const F& f) {
    static_assert(std::is_trivially_copyable_v<F>, "limbeck: what runs on a device is copied to it");
    if (n == 0) return;
#if LIMBECK_ON_CUDA
    detail::batch_rows_in_slots<<<static_cast<unsigned>(slots), detail::batch_threads, 0, x.on.stream>>>(f, n);
    detail::require_success(cudaGetLastError(), "limbeck: launching rows of a batch");
#else
    detail::on_stream(x.on.stream, slots, detail::batch_rows_of_slot<F>{f, n, slots});
#endif
  }
  template <class Batch>
  static void add_up(const Batch& x, const std::span<double>& values, double* total) {
    each_row(x.on, 1, detail::whole_block, detail::add_values{values.data(), values.size(), total});
  }
  /// Numbers in rising order, NaN last; @p values may be in another order then.
  template <class T, class Batch>
  static const T* sorted([[maybe_unused]] const Batch& x, const std::span<T>& values) {
#if LIMBECK_ON_CUDA
    const auto n = static_cast<std::int64_t>(values.size());
    T* const out = x.memory.template take<T>(values.size()).data();
    std::size_t bytes = 0;
    const auto sort = [&](void* memory) {
      detail::require_success(cub::DeviceRadixSort::SortKeys(memory, bytes, static_cast<const T*>(values.data()), out, n, 0,
                                                             static_cast<int>(8 * sizeof(T)), x.on.stream),
                              "limbeck: sorting numbers of a batch");
    };
    sort(nullptr);  // asks for its memory
    sort(x.memory.template take<std::byte>(bytes).data());
    return out;
#else
    std::sort(values.begin(), values.end(), [](T a, T b) { return a < b || (a == a && b != b); });
    return values.data();
#endif
  }
  template <class T, class Batch>
  static void multiply(const Batch& x, T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) {
    x.dense.multiply(alpha, a, b, beta, c);
  }
};

LIMBECK_END_NAMESPACE

#endif
