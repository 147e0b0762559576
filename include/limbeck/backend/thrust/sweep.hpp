#ifndef LIMBECK_BACKEND_THRUST_SWEEP_HPP
#define LIMBECK_BACKEND_THRUST_SWEEP_HPP

/// @file
/// The sweep over rows in device memory.
///
/// Under nvcc a warp takes a row of up to 1024 classes and a block takes a longer one, on the workspace's stream; values,
/// weights and faults stay on the device, and the host waits only to read the result, or not at all with `deferred`. With
/// a C++ compiler the same rows run through `thrust::for_each` on Thrust's CPP, OMP or TBB system.

#include <limbeck/backend/thrust/batch.hpp>
#include <limbeck/backend/thrust/row.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/objective/objective.hpp>

#include <boost/hana/for_each.hpp>
#include <boost/hana/length.hpp>

#include <thrust/execution_policy.h>
#include <thrust/functional.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/transform_reduce.h>
#if !LIMBECK_ON_CUDA
#include <thrust/for_each.h>
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::size_t rows_per_total = 8192;  // by one block, so that the order of sums is the same everywhere

#if LIMBECK_ON_CUDA

inline constexpr int warps_per_block = 8;
inline constexpr int threads_per_row = 512;
inline constexpr int threads_per_total = 256;
inline constexpr std::size_t classes_of_a_warp = 1024;

template <class Task>
__global__ void __launch_bounds__(32 * warps_per_block) rows_by_warps(const __grid_constant__ Task task) {
  const std::size_t r = static_cast<std::size_t>(blockIdx.x) * warps_per_block + threadIdx.x / 32;
  if (r < task.in.samples()) task.row(warp_team<warps_per_block>{}, r);
}

template <class Task>
__global__ void __launch_bounds__(threads_per_row) rows_by_blocks(const __grid_constant__ Task task) {
  task.row(block_team<threads_per_row>{}, blockIdx.x);
}

/// Every block sums its rows; the last to finish adds the blocks up, in their order.
template <class Task>
__global__ void __launch_bounds__(threads_per_total)
    total_rows(const __grid_constant__ Task task, double* partial, bool with_losses) {
  using Totals = typename Task::totals;
  block_team<threads_per_total> team;
  const std::size_t first = blockIdx.x * rows_per_total;
  const std::size_t samples = task.in.samples();
  const std::size_t last = first + rows_per_total < samples ? first + rows_per_total : samples;
  Totals sum = task.add_rows(team, first, last, with_losses);
  Totals* const blocks = reinterpret_cast<Totals*>(partial);
  __shared__ bool am_last;
  if (threadIdx.x == 0) {
    blocks[blockIdx.x] = sum;
    __threadfence();
    am_last = atomicInc(&task.out->ticket, gridDim.x - 1) == gridDim.x - 1;  // wraps to 0 for the next kernel
  }
  __syncthreads();
  if (!am_last) return;
  __threadfence();
  sum = Totals{};
  for (unsigned int b = threadIdx.x; b < gridDim.x; b += threads_per_total)
    for (std::size_t k = 0; k < sizeof(sum.v) / sizeof(sum.v[0]); ++k)
      sum.v[k] += static_cast<const volatile double*>(blocks[b].v)[k];
  sum = team.sum(sum);
  if (threadIdx.x == 0) task.conclude(sum, with_losses);
}

#else

template <class Task>
struct row_of_task {
  Task task;
  void operator()(std::size_t r) const { task.row(single_team{}, r); }
};

#endif

template <class T>
struct square_of_element {
  rows<T> x;
  LIMBECK_HOST_DEVICE double operator()(std::size_t i) const {
    const double v = static_cast<double>(x(i / x.classes, i % x.classes));
    return v * v;
  }
};

template <class T>
struct zero_element {
  rows<T> x;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const { x(i / x.classes, i % x.classes) = T(0); }
};

/// Whether rows of @p x can be read 16 bytes at a time.
template <class T>
bool loads_whole(const rows<T>& x) {
  return !x.data || (x.class_stride == 1 && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0 &&
                     (x.sample_stride * static_cast<std::ptrdiff_t>(sizeof(T))) % 16 == 0);
}

/// What the host knows before any row.
template <class T, class Terms, class Mode>
void set_up(device_task<T, Terms, Mode>& task) {
  using Plan = typename plan_of<Terms>::type;
  problem<T>& in = task.in;
  in.normalizer = 1;
  if constexpr (!Plan::uses_row_temperatures) (void)start_row<Plan>(in, task.terms, 1.0, 0, task.batch);
  if (in.reduce == reduction::mean) {
    task.weigh = !(in.mean_over > 0) && (in.row_weights.data() || in.row_mask.data() || in.labels.data());
    const double over = in.mean_over > 0 ? in.mean_over : static_cast<double>(in.samples());
    task.over_weight = over > 0 ? 1 / over : 0;
  }
  task.whole_loads =
      loads_whole(in.student.as_native()) && loads_whole(in.teacher.as_native()) &&
                     loads_whole(in.soft_labels.as_native()) && loads_whole(in.gradient.as_native());
  for_each_index<Plan::size>([&](auto k) {
    const auto& term = task.terms[hana::size_t<k>{}];
    using L = typename std::remove_cvref_t<decltype(term)>::loss_type;
    if constexpr (is<L, pointwise> || is<L, logitwise>) {
      task.diverges_student[k] = term.weight != 0 && diverges<T>(term.loss, true);
      task.diverges_teacher[k] = term.weight != 0 && diverges<T>(term.loss, false);
    }
    if constexpr (requires { term.loss.wants_mean(); }) task.wants_mean = task.wants_mean || term.loss.wants_mean();
  });
}

template <>
struct sweep_for<device_memory> {
  /// Weights are summed on the device, see `device_task`.
  template <class T>
  static void prepare(problem<T>&) {}

  /// `evaluation`, or nothing where it is deferred.
  template <class T, class Lanes, class Mode, class Terms, class Executor>
  static auto run(const problem<T>& in, const Terms& terms, device_workspace& ws, Executor& executor) {
    return concluded(in, start<T, Mode>(in, terms, ws, executor), ws, executor);
  }
  /// The same, with losses of the whole batch after those of rows.
  template <class Traits, class Mode, class T, class Swept, class Whole, class Executor>
  static auto run_with_whole(const problem<T>& in, const Swept& swept, const Whole& whole, device_workspace& ws,
                             Executor& executor) {
    const counted_device_rows<T> counted(in, whole[hana::size_c<0>].name, Mode::gradient, ws.beside().beside());
    device_outcome* out;
    if constexpr (decltype(hana::length(swept))::value > 0) {
      out = start<T, Mode>(in, swept, ws, executor);
    } else {
      require_no_row_losses(in);
      out = fresh_outcome(in, ws.reserve(sizeof(device_outcome)), ws.stream(), executor);
      if constexpr (Mode::gradient)
        if (!in.add && in.samples() > 0) clear_on(ws, in.gradient);
    }
    if (counted.numbers.rows > 0) {
      const dense_primitives<T, device_memory> dense{ws.stream(), ws.products()};
      hana::for_each(whole, [&](const auto& term) { run_batchwise_on_device(counted, term, in, ws, dense, out); });
      if constexpr (Mode::gradient) counted.give_gradient(in);
    }
    return concluded(in, out, ws, executor);
  }

  /// Zeros for an output that no loss looks at.
  template <class T>
  static void clear(const rows<T>& x) {
    const thrust::counting_iterator<std::size_t> first(0);
    thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(x.samples * x.classes), zero_element<T>{x});
  }
  /// The same, in the order of the workspace's stream.
  template <class T>
  static void clear_on([[maybe_unused]] const device_workspace& ws, const stored_rows<T>& stored) {
    const rows<T> x = stored.as_native();
#if LIMBECK_ON_CUDA
    const thrust::counting_iterator<std::size_t> first(0);
    thrust::for_each(thrust::cuda::par_nosync.on(ws.stream()), first,
                     first + static_cast<std::ptrdiff_t>(x.samples * x.classes), zero_element<T>{x});
#else
    clear(x);
#endif
  }
  /// Sum of squares; called where the device is known to be idle.
  template <class T>
  static double squared_norm(const stored_rows<T>& stored) {
    const rows<T> x = stored.as_native();
    const thrust::counting_iterator<std::size_t> first(0);
    return thrust::transform_reduce(thrust::device, first, first + static_cast<std::ptrdiff_t>(x.samples * x.classes),
                                    square_of_element<T>{x}, 0.0, thrust::plus<double>());
  }

 private:
  template <class Executor>
  static constexpr bool later = std::is_same_v<Executor, device_result>;

  /// Zeros in @p here, or in the result to which a call is deferred.
  template <class T, class Executor>
  static device_outcome* fresh_outcome(const problem<T>& in, std::byte* here, device_stream stream, Executor& executor) {
    static_assert(later<Executor> || std::is_same_v<std::remove_const_t<Executor>, serial>,
                  "limbeck: on(executor) is for rows on the host; a device runs its rows itself, on the stream of the "
                  "device_workspace");
    auto* out = reinterpret_cast<device_outcome*>(here);
    if constexpr (later<Executor>) out = executor.begin(stream, in.classes(), in.ignore_index);
    clear_device(out, sizeof(device_outcome), stream);
    return out;
  }
  template <class T, class Executor>
  static auto concluded(const problem<T>& in, const device_outcome* out, device_workspace& ws, Executor&) {
    if constexpr (!later<Executor>) return read_outcome(out, ws.stream(), in.classes(), in.ignore_index);
  }

  template <class T, class Mode, class Terms, class Executor>
  static device_outcome* start(const problem<T>& in, const Terms& terms, device_workspace& ws, Executor& executor) {
    using Plan = typename plan_of<Terms>::type;
    static_assert(!Plan::template any<rowwise>,
                  "limbeck: a rowwise loss works on a whole row at once, on the host; this objective has one and its "
                  "logits live on a device");
    require_settings(static_cast<Plan*>(nullptr));
    const std::size_t samples = in.samples();
    const std::size_t parts = (std::max<std::size_t>)(1, (samples + rows_per_total - 1) / rows_per_total);
    const std::size_t outcome = (sizeof(device_outcome) + 15) / 16 * 16;
    const std::size_t doubles = samples * (1 + Plan::learned) + parts * (4 + Plan::learned);
    std::byte* const memory = ws.reserve(outcome + doubles * sizeof(double));

    device_task<T, Terms, Mode> task{.in = in, .terms = terms};
    task.out = fresh_outcome(in, memory, ws.stream(), executor);
    task.values = reinterpret_cast<double*>(memory + outcome);
    task.temperatures = task.values + samples;
    double* const partial = task.temperatures + samples * Plan::learned;
    set_up(task);
    launch(task, partial, parts, ws.stream());
    return task.out;
  }

  template <class... Term>
  static constexpr void require_settings(plan<Term...>*) {
    static_assert((std::is_trivially_copyable_v<typename Term::loss_type> && ...),
                  "limbeck: a loss of this objective holds settings that cannot be copied to a device; keep them "
                  "trivially copyable");
  }

#if LIMBECK_ON_CUDA
  template <class Task>
  static void launch(const Task& task, double* partial, std::size_t parts, cudaStream_t stream) {
    static_assert(sizeof(Task) <= 4000, "limbeck: this objective has too many terms for the arguments of one kernel");
    const std::size_t samples = task.in.samples();
    const auto total = [&](bool with_losses) {
      total_rows<<<static_cast<unsigned>(parts), threads_per_total, 0, stream>>>(task, partial, with_losses);
    };
    if (task.weigh) total(false);
    if (samples > 0) {
      if (task.in.classes() <= classes_of_a_warp) {
        const auto blocks = (samples + warps_per_block - 1) / warps_per_block;
        rows_by_warps<<<static_cast<unsigned>(blocks), 32 * warps_per_block, 0, stream>>>(task);
      } else {
        rows_by_blocks<<<static_cast<unsigned>(samples), threads_per_row, 0, stream>>>(task);
      }
    }
    total(true);
    require_success(cudaGetLastError(), "limbeck: launching an objective");
  }
#else
  template <class Task>
  static void launch(const Task& task, double*, std::size_t, device_stream) {
    single_team team;
    const std::size_t samples = task.in.samples();
    if (task.weigh) task.conclude(task.add_rows(team, 0, samples, false), false);
    const thrust::counting_iterator<std::size_t> first(0);
    thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(samples), row_of_task<Task>{task});
    task.conclude(task.add_rows(team, 0, samples, true), true);
  }
#endif
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
