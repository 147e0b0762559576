#ifndef LIMBECK_CORE_EXECUTOR_HPP
#define LIMBECK_CORE_EXECUTOR_HPP

/// @file
/// Executors: who runs the rows. Results have the same bits whatever the executor and its number of workers.

#include <limbeck/core/config.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#if defined(_OPENMP)
#include <omp.h>
#endif

LIMBECK_BEGIN_NAMESPACE

/// Runs `task(index, worker)` for every index in [0, tasks), in any order, and returns when all are done. `worker` is
/// in [0, workers()), and no two tasks run at once with the same worker. A pool of yours is one in ten lines.
template <class E>
concept executor = requires(E& e, std::size_t tasks, void (*task)(std::size_t, std::size_t)) {
  { e.workers() } -> std::convertible_to<std::size_t>;
  e(tasks, task);
};

/// The calling thread, the default.
struct serial {
  /// One.
  constexpr std::size_t workers() const { return 1; }
  /// In order.
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    for (std::size_t i = 0; i < tasks; ++i) task(i, std::size_t{0});
  }
};

/// An OpenMP team of @p threads (0: as many as OpenMP would take). Compile with -fopenmp.
struct openmp {
  int threads = 0;  ///< 0: as many as OpenMP would take
#if defined(_OPENMP)
  /// The size of the team.
  std::size_t workers() const { return static_cast<std::size_t>(threads > 0 ? threads : omp_get_max_threads()); }
  /// Runs the tasks on the team, in equal shares.
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    const auto n = static_cast<std::ptrdiff_t>(tasks);
    const int team = static_cast<int>(workers());
#pragma omp parallel for schedule(static) num_threads(team)
    for (std::ptrdiff_t i = 0; i < n; ++i)
      task(static_cast<std::size_t>(i), static_cast<std::size_t>(omp_get_thread_num()));
  }
#else
  template <class Never = void>
  std::size_t workers() const {
    static_assert(sizeof(Never*) == 0, "limbeck: lk::openmp needs OpenMP; compile this file with -fopenmp");
    return 1;
  }
  template <class Task>
  void operator()(std::size_t, Task&&) const {
    static_assert(sizeof(Task*) == 0, "limbeck: lk::openmp needs OpenMP; compile this file with -fopenmp");
  }
#endif
};

/// Any executor, by reference; a call takes one indirect jump.
class executor_ref {
 public:
  /// Refers to @p e, which outlives it.
  template <class E>
    requires(!std::is_same_v<std::remove_cv_t<E>, executor_ref>)
  explicit executor_ref(E& e)
      : executor_(const_cast<void*>(static_cast<const void*>(&e))), run_([](void* who, std::size_t tasks, const task& t) {
          (*static_cast<E*>(who))(tasks, [&](std::size_t index, std::size_t worker) { t.call(t.body, index, worker); });
        }), workers_(static_cast<std::size_t>(e.workers())) {}
  /// How many workers run tasks at once.
  std::size_t workers() const { return workers_; }
  /// `body(index, worker)` for every index in [0, tasks).
  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    run_(executor_, tasks, {&body, [](const void* b, std::size_t index, std::size_t worker) {
                              (*static_cast<const Body*>(b))(index, worker);
                            }});
  }

 private:
  struct task {
    const void* body;
    void (*call)(const void*, std::size_t, std::size_t);
  };
  void* executor_;
  void (*run_)(void*, std::size_t, const task&);
  std::size_t workers_;
};

/// @cond
namespace detail {

/// The named argument that `on` makes; it changes no problem.
template <class E>
struct executor_argument {
  using limbeck_argument = void;
  using runner = E;
  E& run;
  template <class Problem>
  void apply(Problem&) const {}
};
template <class A>
inline constexpr bool is_executor_argument = false;
template <class E>
inline constexpr bool is_executor_argument<executor_argument<E>> = true;

/// The executor among the arguments of a call, the calling thread where there is none.
inline const serial& executor_of() {
  static constexpr serial here;
  return here;
}
template <class A, class... Rest>
auto& executor_of(A& a, Rest&... rest) {
  if constexpr (is_executor_argument<std::remove_cvref_t<A>>) {
    return a.run;
  } else {
    return executor_of(rest...);
  }
}

}  // namespace detail
/// @endcond

/// Who runs the rows, or the tasks of any call that takes it.
template <class E>
auto on(E&& e) {
  static_assert(executor<std::remove_reference_t<E>>,
                "limbeck: on(executor) takes an executor: workers(), and a call (tasks, task) that runs "
                "task(index, worker) for every index");
  return detail::executor_argument<std::remove_reference_t<E>>{e};
}

LIMBECK_END_NAMESPACE

#endif
