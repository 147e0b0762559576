#ifndef LIMBECK_BACKEND_THRUST_FILL_HPP
#define LIMBECK_BACKEND_THRUST_FILL_HPP

/// @file
/// Targets whose rows are in device memory: `fill` by the device, and what a target reads besides tensors, copied there.

#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/team.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/target/class_map.hpp>
#include <limbeck/target/fill.hpp>

#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <algorithm>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// All rows of a target, copied to the device by value. A place is what a team works in: place p takes the rows p, p + places, ...
template <class Target, class T>
struct fill_task {
  Target target;
  rows<T> out;
  fill_arguments<T> in;
  T* memory;           // of all places
  std::size_t places;  // as many as there are teams
  static constexpr std::size_t rows_of_place = Target::scratch_rows + 1;  // one to put a row in whose classes are no neighbours

  template <class Team>
  LIMBECK_HOST_DEVICE void place(const Team& team, std::size_t p) const {
    const std::size_t n = out.classes;
    T* const mine = memory + p * rows_of_place * n;
    const std::span<T> scratch(mine + n, Target::scratch_rows * n);
    for (std::size_t r = p; r < out.samples; r += places) {
      const std::span<T> to(out.class_stride == 1 ? out.row(r) : mine, n);
      const std::int64_t label = in.labels.data() ? in.labels.integer(r) : -1;
      target.fill(target_row<T, Team>{r, to, scratch, in.student, label, in.progress, team});
      team.wait();
      if (out.class_stride != 1) for_own<T>(team, n, [&](std::size_t c) { out(r, c) = mine[c]; });
      team.wait();  // before the scratch is written again
    }
  }
};

#if LIMBECK_ON_CUDA

inline constexpr int fill_warps = 4, fill_threads = 256;
inline constexpr std::size_t fill_classes_of_a_warp = 1024, fill_most_places = 4096;

template <class Task>
__global__ void __launch_bounds__(32 * fill_warps) fill_by_warps(const __grid_constant__ Task task) {
  const std::size_t p = static_cast<std::size_t>(blockIdx.x) * fill_warps + threadIdx.x / 32;
  if (p < task.places) task.place(lanes_team(), p);
}
template <class Task>
__global__ void __launch_bounds__(fill_threads) fill_by_blocks(const __grid_constant__ Task task) {
  task.place(block_team(), blockIdx.x);
}

#else

inline constexpr std::size_t fill_most_places = 64;

template <class Task>
struct place_of_task {
  Task task;
  void operator()(std::size_t p) const { task.place(single_team{}, p); }
};

#endif

template <>
struct filler_for<device_memory> {
  using workspace_type = device_workspace;
  template <target Target, class T>
  static void run(const Target& t, const rows<T>& out, const fill_arguments<T>& in, device_workspace& ws) {
    static_assert(device_target<Target>,
                  "limbeck: the fill of this target takes rows of the host only; on a device make it a template over the row "
                  "(template <class Row> LIMBECK_HOST_DEVICE void fill(const Row&) const)");
    static_assert(std::is_trivially_copyable_v<settled_t<Target>>,
                  "limbeck: this target holds settings that cannot be copied to a device; keep them trivially copyable");
    if constexpr (device_target<Target>) {
      if (out.samples == 0 || out.classes == 0) return;
      using Task = fill_task<settled_t<Target>, T>;
      const std::size_t places = (std::min)(out.samples, fill_most_places);
      T* const memory = reinterpret_cast<T*>(ws.reserve(places * Task::rows_of_place * out.classes * sizeof(T)));
      launch(Task{detail::settled(t, in.progress), out, in, memory, places}, ws.stream());
    }
  }

 private:
#if LIMBECK_ON_CUDA
  template <class Task>
  static void launch(const Task& task, cudaStream_t stream) {
    static_assert(sizeof(Task) <= 4000, "limbeck: this target has too many teachers for the arguments of one kernel");
    if (task.out.classes <= fill_classes_of_a_warp) {
      const auto blocks = static_cast<unsigned>((task.places + fill_warps - 1) / fill_warps);
      fill_by_warps<<<blocks, 32 * fill_warps, 0, stream>>>(task);
    } else {
      fill_by_blocks<<<static_cast<unsigned>(task.places), fill_threads, 0, stream>>>(task);
    }
    require_success(cudaGetLastError(), "limbeck: filling a target's rows");
  }
#else
  template <class Task>
  static void launch(const Task& task, device_stream) {
    const thrust::counting_iterator<std::size_t> first(0);
    thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(task.places), place_of_task<Task>{task});
  }
#endif
};

template <class T, class Range>
thrust::device_vector<T> copied_to_device(const Range& x) {
  return thrust::device_vector<T>(x.begin(), x.end());
}
template <class T>
std::span<const T> span_of(const thrust::device_vector<T>& x) {
  return {thrust::raw_pointer_cast(x.data()), x.size()};
}

}  // namespace detail

/// A class map in device memory, for `class_mapped(teacher, map.view())`: that of the host, turned into columns.
template <class T>
class device_class_map {
 public:
  /// Copies. @throws shape_error, value_error where the parts of the map do not fit together, as `class_mapped`.
  explicit device_class_map(const class_map<T>& m) : teacher_classes_(m.offsets.empty() ? 0 : m.offsets.size() - 1) {
    detail::check_class_map(m, teacher_classes_);
    std::vector<std::uint64_t> offsets(m.classes + 1, 0);
    for (const std::int32_t j : m.ids) ++offsets[static_cast<std::size_t>(j) + 1];
    for (std::size_t j = 0; j < m.classes; ++j) offsets[j + 1] += offsets[j];
    std::vector<std::uint64_t> next(offsets.begin(), offsets.end() - 1);
    std::vector<std::int32_t> ids(m.ids.size());
    std::vector<T> weights(m.ids.size());
    for (std::size_t i = 0; i < teacher_classes_; ++i)
      for (auto k = static_cast<std::size_t>(m.offsets[i]); k < m.offsets[i + 1]; ++k) {
        const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(m.ids[k])]++);
        ids[at] = static_cast<std::int32_t>(i);
        weights[at] = m.weights[k];
      }
    offsets_ = detail::copied_to_device<std::uint64_t>(offsets);
    ids_ = detail::copied_to_device<std::int32_t>(ids);
    weights_ = detail::copied_to_device<T>(weights);
  }
  /// Valid while this is.
  class_map_by_columns<T, device_memory> view() const& {
    return {teacher_classes_, detail::span_of(offsets_), detail::span_of(ids_), detail::span_of(weights_)};
  }
  class_map_by_columns<T, device_memory> view() && = delete;

 private:
  std::size_t teacher_classes_;
  thrust::device_vector<std::uint64_t> offsets_;
  thrust::device_vector<std::int32_t> ids_;
  thrust::device_vector<T> weights_;
};

LIMBECK_END_NAMESPACE

#endif
