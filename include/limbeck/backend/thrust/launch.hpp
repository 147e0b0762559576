#ifndef LIMBECK_BACKEND_THRUST_LAUNCH_HPP
#define LIMBECK_BACKEND_THRUST_LAUNCH_HPP

/// @file
/// The kernels of the sweep, and who takes a row: a few lanes of a warp one of up to 1,024 classes, a block or a cluster of
/// blocks a longer one. A row is brought into shared memory once, where it fits.

#include <limbeck/backend/thrust/team.hpp>
#include <limbeck/backend/thrust/workspace.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::size_t rows_per_total = 8192;  // by one block, so that the order of sums is the same everywhere

#if LIMBECK_ON_CUDA

inline constexpr unsigned threads_of_lanes = 128, threads_of_blocks = 256, threads_per_total = 256;
inline constexpr std::size_t classes_of_a_warp = 1024;

/// How the rows of a call are shared out.
struct device_launch {
  unsigned blocks = 0, threads = 0;  // of the grid, of a block
  unsigned lanes = 0;                // that share a row; 0: a block does, or
  unsigned cluster = 1;              // so many blocks
  std::size_t shared_bytes = 0;      // of a block
  std::size_t rows = 0;              // of memory, each team's
  void* memory = nullptr;            // where they are not in shared memory
};

/// The last block of a launch to come here; all of its threads learn it.
__device__ inline bool is_last_block(device_outcome* out) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(&out->ticket, gridDim.x - 1) == gridDim.x - 1;  // wraps to 0 for the next kernel
  __syncthreads();
  __threadfence();
  return last;
}
/// Few rows are added up by the kernel that has swept them.
template <class Task>
__device__ void total_few(const Task& task) {
  if (task.in.samples() > rows_per_total || !task.concludes || !is_last_block(task.out)) return;
  const block_of_threads team;
  const auto sum = task.add_rows(team, 0, task.in.samples(), true);
  if (threadIdx.x == 0) task.conclude(sum, true);
}

extern __shared__ __align__(16) unsigned char limbeck_rows_in_shared_memory[];

/// A few lanes of a warp a row.
template <class T, class Task>
__global__ void __launch_bounds__(threads_of_lanes, 1)
    rows_by_lanes(const __grid_constant__ Task task, const __grid_constant__ device_launch how) {
  const lanes_team team(how.lanes);
  const unsigned teams = blockDim.x / how.lanes, mine = threadIdx.x / how.lanes;
  T* const memory = reinterpret_cast<T*>(limbeck_rows_in_shared_memory) + mine * how.rows * task.padded;
  const std::size_t r = static_cast<std::size_t>(blockIdx.x) * teams + mine;
  if (r < task.in.samples()) task.row(team, r, memory);
  total_few(task);
}

/// A block, or the blocks of a cluster, a row.
template <class T, class Task>
__global__ void __launch_bounds__(threads_of_blocks, 1)
    rows_by_blocks(const __grid_constant__ Task task, const __grid_constant__ device_launch how) {
  const block_team team(task.stride);
  T* memory = reinterpret_cast<T*>(limbeck_rows_in_shared_memory) - team.part().first;  // a class stands at its number
  if (how.memory) memory = static_cast<T*>(how.memory) + static_cast<std::size_t>(blockIdx.x) * how.rows * task.padded;
  for (std::size_t r = blockIdx.x / how.cluster; r < task.in.samples(); r += gridDim.x / how.cluster) {
    task.row(team, r, memory);
    team.wait();  // nobody goes on, or leaves, while others read what it has left for them
  }
  total_few(task);
}

/// Every block sums its rows; the last to finish adds the blocks up, in their order.
template <class Task>
__global__ void __launch_bounds__(threads_per_total, 2)
    total_rows(const __grid_constant__ Task task, double* partial, bool with_losses) {
  using Totals = typename Task::totals;
  const block_of_threads team;
  const std::size_t first = blockIdx.x * rows_per_total;
  const std::size_t samples = task.in.samples();
  const std::size_t last = first + rows_per_total < samples ? first + rows_per_total : samples;
  Totals sum = task.add_rows(team, first, last, with_losses);
  Totals* const blocks = reinterpret_cast<Totals*>(partial);
  if (threadIdx.x == 0) blocks[blockIdx.x] = sum;
  if (!is_last_block(task.out)) return;
  sum = Totals{};
  for (unsigned b = threadIdx.x; b < gridDim.x; b += blockDim.x)
    for (std::size_t k = 0; k < sizeof(sum.v) / sizeof(sum.v[0]); ++k) sum.v[k] += Task::written(blocks[b].v + k);
  sum = team.sum(sum);
  if (threadIdx.x == 0) task.conclude(sum, with_losses);
}

/// What the current device has, and what a kernel may have of it.
struct device_limits {
  int processors = 1;
  std::size_t shared_of_block = 0, shared_of_processor = 0;
  unsigned cluster = 1;  // blocks that can share a row, each with all the shared memory that there is
};
inline cudaLaunchConfig_t in_clusters(unsigned blocks, cudaLaunchAttribute& cluster) {
  cudaLaunchConfig_t config{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = blocks;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  config.attrs = &cluster;
  config.numAttrs = blocks > 1 ? 1 : 0;
  return config;
}

/// Asked of the driver once a kernel and device.
inline const device_limits& limits_of(const void* kernel) {
  static std::mutex once;
  static std::map<std::pair<int, const void*>, device_limits> known;
  int device = 0;
  require_success(cudaGetDevice(&device), "limbeck: asking for the device");
  const std::lock_guard lock(once);
  if (const auto seen = known.find({device, kernel}); seen != known.end()) return seen->second;
  const auto ask = [&](cudaDeviceAttr what) {
    int x = 0;
    require_success(cudaDeviceGetAttribute(&x, what, device), "limbeck: asking what the device has");
    return x;
  };
  device_limits found;
  cudaFuncAttributes of_kernel{};
  require_success(cudaFuncGetAttributes(&of_kernel, kernel), "limbeck: asking for a kernel");
  found.processors = ask(cudaDevAttrMultiProcessorCount);
  found.shared_of_processor = static_cast<std::size_t>(ask(cudaDevAttrMaxSharedMemoryPerMultiprocessor));
  found.shared_of_block = static_cast<std::size_t>(ask(cudaDevAttrMaxSharedMemoryPerBlockOptin)) - of_kernel.sharedSizeBytes;
  require_success(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                       static_cast<int>(found.shared_of_block)),
                  "limbeck: asking for shared memory");
  if (of_kernel.ptxVersion >= 90 && ask(cudaDevAttrClusterLaunch) != 0) {
    for (unsigned blocks = 8; blocks > 1 && found.cluster == 1; blocks /= 2) {
      cudaLaunchAttribute cluster{};
      cudaLaunchConfig_t config = in_clusters(blocks, cluster);
      config.gridDim = dim3(blocks);
      config.blockDim = dim3(threads_of_blocks);
      config.dynamicSmemBytes = found.shared_of_block;
      int active = 0;
      if (cudaOccupancyMaxActiveClusters(&active, kernel, &config) == cudaSuccess && active > 0) found.cluster = blocks;
      (void)cudaGetLastError();
    }
  }
  return known.emplace(std::pair{device, kernel}, found).first->second;
}

/// How a call's rows are shared out: by lanes where their kernel has room, else by blocks.
template <class Task>
device_launch share_out(Task& task, std::size_t width, std::size_t element, const device_limits& of_lanes,
                        const device_limits& limits) {
  device_launch how;
  const std::size_t samples = task.in.samples(), loads = (task.in.classes() + width - 1) / width;
  task.staged = true;
  how.rows = task.rows_of_memory();
  const std::size_t row_bytes = how.rows * task.padded * element;
  const auto grid = [&](std::size_t blocks) { how.blocks = static_cast<unsigned>(blocks); };
  if (task.in.classes() <= classes_of_a_warp) {
    how.lanes = 2;
    while (how.lanes < 32 && loads > 4 * how.lanes) how.lanes *= 2;
    for (how.threads = threads_of_lanes; how.threads >= 32; how.threads /= 2) {
      const std::size_t teams = how.threads / how.lanes;
      how.shared_bytes = teams * row_bytes;
      if (how.shared_bytes > of_lanes.shared_of_block) continue;
      grid((samples + teams - 1) / teams);
      return how;
    }
    how.lanes = 0;
  }
  // so that a block computes while others wait for memory, three of them share a processor
  const std::size_t wanted = limits.shared_of_processor / 3;
  if (Task::may_be_parted) {
    while (how.cluster < limits.cluster && row_bytes / how.cluster > wanted) how.cluster *= 2;
    while (how.cluster < limits.cluster && samples * how.cluster * 2 <= static_cast<std::size_t>(limits.processors) &&
           loads / how.cluster > threads_of_blocks)
      how.cluster *= 2;
  }
  if (how.cluster > 1) task.stride = (loads + how.cluster - 1) / how.cluster * width;
  how.shared_bytes = how.rows * task.stride * element;
  how.threads = threads_of_blocks;
  grid(samples * how.cluster);
  if (how.shared_bytes <= limits.shared_of_block) return how;

  task.staged = false;
  how.rows = task.rows_of_memory();
  how.cluster = 1;
  task.stride = task.padded;
  how.shared_bytes = 0;
  how.threads = threads_of_blocks;
  grid(samples);
  if (how.rows > 0) grid((std::min)(samples, static_cast<std::size_t>(limits.processors) * 2));
  return how;
}

#else

/// The rows of a share of a call, one after the other, in memory of their own.
template <class T, class Task>
struct rows_of_share {
  Task task;
  T* memory;
  std::size_t rows, shares;
  void operator()(std::size_t share) const {
    for (std::size_t r = share; r < task.in.samples(); r += shares)
      task.row(single_team{}, r, memory + share * rows * task.padded);
  }
};

#endif

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
