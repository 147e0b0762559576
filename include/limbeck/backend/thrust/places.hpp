#ifndef LIMBECK_BACKEND_THRUST_PLACES_HPP
#define LIMBECK_BACKEND_THRUST_PLACES_HPP

/// @file
/// Rows that are no objective's, one after the other in a few thousand places: the rows of targets, predictions that are
/// averaged.

#include <limbeck/backend/thrust/team.hpp>
#include <limbeck/backend/thrust/workspace.hpp>

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <algorithm>
#include <span>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// f(i) for i below @p n, in stream order; nobody waits.
template <class F>
void on_stream(device_stream stream, std::size_t n, const F& f) {
  const thrust::counting_iterator<std::size_t> first(0);
#if LIMBECK_ON_CUDA
  thrust::for_each_n(thrust::cuda::par_nosync.on(stream), first, n, f);
#else
  (void)stream;
  thrust::for_each_n(thrust::device, first, n, f);
#endif
}

/// What a device copies: `job.row(team, r, memory)` for every row. A team works in one place after the other, each with memory
/// of its own; place p takes the rows p, p + places, ...
template <class T, class Job>
struct row_places {
  Job job;
  std::size_t samples, places, numbers;  // rows; teams; of memory in each place
  T* memory;

  template <class Team>
  LIMBECK_HOST_DEVICE void place(const Team& team, std::size_t p) const {
    for (std::size_t r = p; r < samples; r += places) {
      job.row(team, r, std::span<T>(memory + p * numbers, numbers));
      team.wait();  // before the memory is written again
    }
  }
};

#if LIMBECK_ON_CUDA

inline constexpr int warps_of_places = 4, threads_of_place = 256;
inline constexpr std::size_t classes_of_a_place_by_warp = 1024, most_places = 4096, most_bytes_of_places = std::size_t{1} << 28;

template <class Places>
__global__ void __launch_bounds__(32 * warps_of_places) places_by_warps(const __grid_constant__ Places all) {
  const std::size_t p = static_cast<std::size_t>(blockIdx.x) * warps_of_places + threadIdx.x / 32;
  if (p < all.places) all.place(lanes_team{}, p);
}
template <class Places>
__global__ void __launch_bounds__(threads_of_place) places_by_blocks(const __grid_constant__ Places all) {
  all.place(block_team{}, blockIdx.x);
}

#else

inline constexpr std::size_t most_places = 64, most_bytes_of_places = std::size_t{1} << 28;

template <class Places>
struct place_of_rows {
  Places all;
  void operator()(std::size_t p) const { all.place(single_team{}, p); }
};

#endif

/// `job.row(team, r, memory)` for @p samples rows of @p classes, in the order of the workspace's stream; @p numbers: of memory
/// that a row needs, which is the workspace's.
template <class T, class Job>
void run_rows(const Job& job, std::size_t samples, std::size_t classes, std::size_t numbers, device_workspace& ws) {
  using Places = row_places<T, Job>;
  static_assert(sizeof(Places) <= 4000, "limbeck: this target has too many teachers for the arguments of one kernel");
  if (samples == 0 || classes == 0) return;
  constexpr std::size_t most = most_places, most_bytes = most_bytes_of_places;
  const std::size_t room = (std::max<std::size_t>)(1, most_bytes / ((numbers + 1) * sizeof(T)));
  const std::size_t places = (std::min)(samples, (std::min)(most, room));
  const Places all{job, samples, places, numbers, reinterpret_cast<T*>(ws.reserve(places * numbers * sizeof(T)))};
#if LIMBECK_ON_CUDA
  if (classes <= classes_of_a_place_by_warp) {
    const auto blocks = static_cast<unsigned>((places + warps_of_places - 1) / warps_of_places);
    places_by_warps<<<blocks, 32 * warps_of_places, 0, ws.stream()>>>(all);
  } else {
    places_by_blocks<<<static_cast<unsigned>(places), threads_of_place, 0, ws.stream()>>>(all);
  }
  require_success(cudaGetLastError(), "limbeck: launching the rows of a target");
#else
  on_stream(ws.stream(), places, place_of_rows<Places>{all});
#endif
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
