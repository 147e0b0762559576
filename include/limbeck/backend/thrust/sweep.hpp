#ifndef LIMBECK_BACKEND_THRUST_SWEEP_HPP
#define LIMBECK_BACKEND_THRUST_SWEEP_HPP

/// @file
/// The sweep over rows in device memory.
///
/// Under nvcc kernels run the rows, see launch.hpp; with a C++ compiler `thrust::for_each` does, on Thrust's CPP, OMP or TBB
/// system. Values, weights and faults stay on the device, and the host waits only to read the result, or not at all with
/// `deferred`.

#include <limbeck/backend/thrust/batch_outcome.hpp>
#include <limbeck/backend/thrust/launch.hpp>
#include <limbeck/backend/thrust/places.hpp>
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

template <class T>
struct square_of_element {
  stored_rows<T> x;
  LIMBECK_HOST_DEVICE double operator()(std::size_t i) const {
    const double v = static_cast<double>(x(i / x.classes, i % x.classes));
    return v * v;
  }
};

template <class T>
struct zero_element {
  stored_rows<T> x;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const { x.put(i / x.classes, i % x.classes, T(0)); }
};

/// What the host knows before any row.
template <class T, class Terms, class Mode, class Target>
void set_up(device_task<T, Terms, Mode, Target>& task) {
  using Plan = typename plan_of<Terms>::type;
  problem<T>& in = task.in;
  in.normalizer = 1;
  if constexpr (!Plan::temperatures_by_row) (void)start_row<Plan>(in, task.terms, 1.0, 0, task.batch);
  if (in.reduce == reduction::mean) {
    task.weigh = !task.normalizer_at && !(in.mean_over > 0) && (in.row_weights.data() || in.row_mask.data() || in.labels.data());
    const double over = in.mean_over > 0 ? in.mean_over : static_cast<double>(in.samples());
    task.over_weight = over > 0 ? 1 / over : 0;
  }
  task.whole_student = loads_whole<T>(in.student);
  task.whole_teacher = loads_whole<T>(in.teacher);
  task.whole_soft = loads_whole<T>(in.soft_labels);
  task.whole_gradient = loads_whole<T>(in.gradient);
  const std::size_t widest = Plan::any_width ? (std::max)(in.classes(), in.teacher_classes()) : in.classes();
  constexpr std::size_t line = 16 / sizeof(T);
  task.stride = task.padded = (widest + line - 1) / line * line;
  for_each_index<Plan::size>([&](auto k) {
    const auto& term = task.terms[hana::size_t<k>{}];
    using L = typename std::remove_cvref_t<decltype(term)>::loss_type;
    if constexpr (is<L, pointwise> || is<L, logitwise>) {
      task.diverges_student[k] = term.weight != 0 && diverges<T>(term.loss, true);
      task.diverges_teacher[k] = term.weight != 0 && diverges<T>(term.loss, false);
    }
    if constexpr (requires { term.loss.wants_mean(); }) task.wants_mean = task.wants_mean || has_settings<decltype(term)> || term.loss.wants_mean();
  });
}

/// The weight of a row that counts, times what a signal says of it.
template <class T>
struct weigh_by_signal {
  problem<T> in;
  const std::size_t* which;
  T *measured, *weights;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const std::size_t r = which ? which[i] : i;
    if (team.rank() == 0) weights[i] = static_cast<T>(static_cast<double>(measured[r]) * in.weight(r));
  }
};

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
  /// The losses of rows alone, for what is measured before the rows are swept: faults are left for that.
  template <class T, class Lanes, class Mode, class Terms, class Executor>
  static void measure(const problem<T>& in, const Terms& terms, device_workspace& ws, Executor& executor) {
    sweep<T, Mode>(in, terms, ws, outcome_of(in, ws, executor), false, nullptr);
  }
  /// Before all of them, what a call has left that never came to its end.
  template <class T, class Executor>
  static void begin_measuring(const problem<T>& in, device_workspace& ws, Executor& executor) {
    device_outcome* const out = outcome_of(in, ws, executor);
    clear_device(&out->fault, sizeof(out->fault), ws.stream());
  }
  /// What a functor of one team finds of all rows, on the device.
  template <class T>
  static bound_place number_of(const number_of_rows<T>& f, const one_group&, device_workspace& ws) {
    batch_memory<device_memory>::each_row(device_tasks{ws.stream()}, 1, whole_block, f);
    return {{}, f.out};
  }
  /// The same, with losses of the whole batch after those of rows.
  template <class Traits, class Mode, class T, class Swept, class Whole, class Executor>
  static auto run_with_whole(const problem<T>& in, const Swept& swept, const Whole& whole, device_workspace& ws,
                             Executor& executor) {
    const counted_device_rows<T> counted(in, whole[hana::size_c<0>].name, all_by_row(whole), Mode::gradient, ws.beside().beside());
    device_outcome* out = nullptr;
    if constexpr (decltype(hana::length(swept))::value > 0) {
      out = start<T, Mode>(in, swept, ws, executor);
    } else {
      require_no_row_losses(in);
      out = outcome_of(in, ws, executor);
      batch_memory<device_memory>::each_row(counted.on, 1, 1, begin_outcome{out});
      if constexpr (Mode::gradient)
        if (!in.add && in.samples() > 0) clear_on(ws, in.gradient);
    }
    if (counted.numbers.rows > 0) {
      const dense_primitives<T, device_memory> dense{ws.stream(), ws.products()};
      hana::for_each(whole, [&](const auto& term) {
        if constexpr (std::is_same_v<typename std::remove_cvref_t<decltype(term)>::signal_type, no_signal>) {
          run_batchwise_on_device(counted, term, counted.weights, in, ws, dense, out);
        } else {
          run_batchwise_on_device(counted, term, signal_weights(counted, term.signal, in, ws), in, ws, dense, out);
        }
      });
      if constexpr (Mode::gradient) counted.give_gradient(in);
    }
    return concluded(in, out, ws, executor);
  }

  /// Zeros for an output that no loss looks at, in the order of the workspace's stream.
  template <class T>
  static void clear_on(const device_workspace& ws, const stored_rows<T>& x) {
    on_stream(ws.stream(), x.samples * x.classes, zero_element<T>{x});
  }
  /// Sum of squares; called where the device is known to be idle.
  template <class T>
  static double squared_norm(const stored_rows<T>& x) {
    const thrust::counting_iterator<std::size_t> first(0);
    return thrust::transform_reduce(thrust::device, first, first + static_cast<std::ptrdiff_t>(x.samples * x.classes),
                                    square_of_element<T>{x}, 0.0, thrust::plus<double>());
  }

 private:
  /// The weights of the rows that count times what a signal says of them.
  template <class T, class Signal>
  static any_vector signal_weights(const counted_device_rows<T>& counted, const Signal& signal, const problem<T>& in, device_workspace& ws) {
    device_workspace& beside = ws.beside().beside().beside().beside();
    auto* const place = reinterpret_cast<device_outcome*>(beside.reserve(sizeof(device_outcome) + 2 * in.samples() * sizeof(T)));
    clear_device(place, sizeof(device_outcome), ws.stream());
    T* const measured = reinterpret_cast<T*>(place + 1);
    T* const weights = measured + in.samples();
    const outcome_at nobody{place};
    measure<T, host_lanes<T>, sweep_mode<false, false, false>>(signal_problem(in, measured), signal_terms(signal), ws, nobody);
    batch_memory<device_memory>::each_row(counted.on, counted.numbers.rows, 1,
                                          weigh_by_signal<T>{in, counted.call_rows.empty() ? nullptr : counted.call_rows.data(), measured, weights});
    return any_vector(weights, counted.numbers.rows);
  }

  template <class T, class... Term>
  static constexpr void require_losses(plan<Term...>*) {
    static_assert(((!is<typename Term::loss_type, rowwise> || device_rowwise<typename Term::loss_type, T>) && ...),
                  "limbeck: a rowwise loss of this objective takes rows of the host only; on a device make its call a template over "
                  "the team (template <class T, class Team> LIMBECK_HOST_DEVICE T operator()(const row<T, Team>&) const)");
    static_assert((std::is_trivially_copyable_v<typename Term::loss_type> && ...),
                  "limbeck: a loss of this objective holds settings that cannot be copied to a device; keep them "
                  "trivially copyable");
  }

  template <class Executor>
  static constexpr bool later = requires { typename Executor::limbeck_deferred; };

  template <class T, class Executor>
  static device_outcome* outcome_of(const problem<T>& in, device_workspace& ws, Executor& executor) {
    static_assert(later<Executor> || std::is_same_v<std::remove_const_t<Executor>, serial>,
                  "limbeck: on(executor) is for rows on the host; a device runs its rows itself, on the stream of the "
                  "device_workspace");
    if constexpr (later<Executor>) {
      return executor.begin(ws.stream(), in.classes(), in.ignore_index);
    } else {
      return ws.outcome();
    }
  }
  template <class T, class Executor>
  static auto concluded(const problem<T>& in, const device_outcome* out, device_workspace& ws, Executor&) {
    if constexpr (!later<Executor>) return read_outcome(out, ws.stream(), in.classes(), in.ignore_index);
  }
  template <class T, class Mode, class Terms, class Executor>
  static device_outcome* start(const problem<T>& in, const Terms& terms, device_workspace& ws, Executor& executor) {
    require_losses<T>(static_cast<typename plan_of<Terms>::type*>(nullptr));
    device_outcome* const out = outcome_of(in, ws, executor);
    const double* normalizer = nullptr;
    if constexpr (requires { executor.normalizer; }) normalizer = executor.normalizer;  // that of a call of several sweeps
    sweep<T, Mode>(in, terms, ws, out, true, normalizer);
    return out;
  }
  template <class T, class Mode, class Terms>
  static void sweep(const problem<T>& in, const Terms& terms, device_workspace& ws, device_outcome* out, bool concludes,
                    const double* normalizer) {
    const auto run = [&](auto&& task) {
      task.out = out;
      task.concludes = concludes;
      task.normalizer_at = normalizer;
      set_up(task);
      launch<T>(task, ws);
    };
    using Target = typename Mode::target;
    if constexpr (std::is_void_v<Target>) {
      run(device_task<T, Terms, Mode>{.in = in, .terms = terms});
    } else {
      alignas(Target) std::byte settled[sizeof(Target)];
      in.target.settle(in.target.object, in.progress, settled);
      run(device_task<T, Terms, Mode, Target>{.in = in, .terms = terms, .target = *reinterpret_cast<const Target*>(settled)});
    }
  }

  /// Memory of a call: values, temperatures, sums of parts, and @p row_bytes for the rows of teams.
  template <class Task>
  static std::byte* take_memory(Task& task, device_workspace& ws, std::size_t parts, std::size_t row_bytes, double*& partial) {
    constexpr std::size_t learned = Task::learned;
    const std::size_t samples = task.in.samples();
    const std::size_t doubles = (samples * (1 + learned) + parts * (4 + learned) + 1) / 2 * 2;
    std::byte* const memory = ws.reserve(doubles * sizeof(double) + row_bytes);
    task.values = reinterpret_cast<double*>(memory);
    task.temperatures = task.values + samples;
    partial = task.temperatures + samples * learned;
    return memory + doubles * sizeof(double);
  }

#if LIMBECK_ON_CUDA
  template <class T, class Task>
  static void launch(Task& task, device_workspace& ws) {
    static_assert(sizeof(Task) <= 4000, "limbeck: this objective has too many terms for the arguments of one kernel");
    const std::size_t samples = task.in.samples();
    const std::size_t parts = (std::max<std::size_t>)(1, (samples + rows_per_total - 1) / rows_per_total);
    const auto by_lanes = &rows_by_lanes<T, Task>;
    const auto by_blocks = &rows_by_blocks<T, Task>;
    const auto limits = [](auto* kernel) -> const device_limits& { return limits_of(reinterpret_cast<const void*>(kernel)); };
    device_launch how = share_out(task, device_width<T>, sizeof(T), limits(by_lanes), limits(by_blocks));
    double* partial = nullptr;
    const std::size_t in_memory = task.staged ? 0 : how.blocks * how.rows * task.padded * sizeof(T);
    std::byte* const rows = take_memory(task, ws, parts, in_memory, partial);
    if (in_memory > 0) how.memory = rows;

    cudaStream_t stream = ws.stream();
    const auto total = [&](bool with_losses) {
      total_rows<<<static_cast<unsigned>(parts), threads_per_total, 0, stream>>>(task, partial, with_losses);
    };
    if (task.weigh) total(false);
    if (samples > 0) {
      if (how.lanes > 0) {
        rows_by_lanes<T, Task><<<how.blocks, how.threads, how.shared_bytes, stream>>>(task, how);
      } else {
        cudaLaunchAttribute cluster{};
        cudaLaunchConfig_t config = in_clusters(how.cluster, cluster);
        config.gridDim = dim3(how.blocks);
        config.blockDim = dim3(how.threads);
        config.dynamicSmemBytes = how.shared_bytes;
        config.stream = stream;
        require_success(cudaLaunchKernelEx(&config, by_blocks, task, how), "limbeck: launching an objective");
      }
    }
    if (task.concludes && (samples == 0 || samples > rows_per_total)) total(true);
    require_success(cudaGetLastError(), "limbeck: launching an objective");
  }
#else
  template <class T, class Task>
  static void launch(Task& task, device_workspace& ws) {
    const single_team team;
    const std::size_t samples = task.in.samples(), shares = (std::min<std::size_t>)(samples, 64);
    double* partial = nullptr;
    std::byte* const memory = take_memory(task, ws, 1, shares * task.rows_of_memory() * task.padded * sizeof(T), partial);
    if (task.weigh) task.conclude(task.add_rows(team, 0, samples, false), false);
    const thrust::counting_iterator<std::size_t> first(0);
    thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(shares),
                     rows_of_share<T, Task>{task, reinterpret_cast<T*>(memory), task.rows_of_memory(), shares});
    if (task.concludes) task.conclude(task.add_rows(team, 0, samples, true), true);
  }
#endif
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
