#ifndef LIMBECK_OBJECTIVE_CLASSES_OVER_HPP
#define LIMBECK_OBJECTIVE_CLASSES_OVER_HPP

/// @file
/// A vocabulary in shards: calls of which each rank holds some classes of each row.
///
///     objective(student, teacher, labels, lk::into(gradient), lk::classes_over(world));

#include <limbeck/engine/sharded_sweep.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/ranks/shards.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// How the classes of a call are over ranks.
struct classes_over_options {
  /// Rows between two exchanges of the ranks, rounded up to a multiple of 8; 0: as many as make 4 MiB of exponentials a rank, at
  /// least 8 and at most 256. The same on all ranks.
  std::size_t block_rows = 0;
};

/// @cond
namespace detail {

/// Of a rank that brings a fault in the place of its classes.
inline constexpr std::uint64_t no_classes = static_cast<std::uint64_t>(-1);

/// What the calls inside of one are given, one after the other where outputs have names.
struct meeting_of_classes {
  using limbeck_argument = void;
  using tag = classes_over_tag;
  communicator_ref comm;
  classes_over_options options;
  bool* others_wait;  // for this rank's number of classes
  template <class T>
  void apply(problem<T>&) const {}
  /// How many classes each rank has.
  /// @throws on all ranks what one of them brings, @p fault or another's.
  std::vector<std::uint64_t> begin(std::uint64_t own, noted_fault fault = {}) const {
    *others_wait = false;
    std::vector<std::uint64_t> counts = all_gather(comm, own);
    if (std::find(counts.begin(), counts.end(), no_classes) != counts.end()) agree_on(comm, fault.kind, std::move(fault.what));
    return counts;
  }
};

struct classes_over_argument {
  using limbeck_argument = void;
  using limbeck_meets = void;
  using tag = classes_over_tag;
  communicator_ref comm;
  classes_over_options options;
  /// f(what calls are given in the place of this); a fault before the ranks have begun is thrown on all.
  template <class F>
  auto meet(const F& f) const {
    bool others_wait = true;
    const meeting_of_classes met{comm, options, &others_wait};
    if (comm.size() == 1) return f(met);
    std::optional<decltype(f(met))> result;
    or_else([&] { result.emplace(f(met)); },
            [&] {
              if (!others_wait) go_on();
              (void)met.begin(no_classes, note_fault([] { go_on(); }));
            });
    return std::move(*result);
  }
};
/// The same once the ranks have said how many classes each has.
template <class T>
struct class_ranks_argument {
  using limbeck_argument = void;
  using tag = class_ranks_tag;
  const class_ranks<T>* over;
  std::size_t first, total;
  void apply(problem<T>& in) const {
    in.over = over;
    in.first_class = first;
    in.whole_classes = total;
  }
};

}  // namespace detail
/// @endcond

/// Says that this call holds some classes of each row, and that the other ranks of @p world hold the others: of student, teacher,
/// soft labels, `class_mask` and the gradient each rank passes its own columns, n x its classes, which follow those of the
/// rank before; a rank may have none. Labels are numbers among all classes. Rows, labels, weights and masks of rows,
/// temperatures and the reduction are the same on all ranks, all of which make the call. Value, `row_losses`
/// and derivatives by temperatures are one machine's, up to the rounding of sums, and the same bits on every rank; the gradient is that
/// of the rank's columns. A fault is found by who has it, and thrown on all with its number among all classes.
///
/// Of `logits_of(hidden, weights, bias)` the classes are the rows of weights and bias: the hidden states are the same on all ranks, the
/// gradients of weights and bias are the rank's, that of the hidden states is summed over the ranks, once a chunk.
///
/// What travels: numbers of rows, never of classes. A block of rows takes a message for the maxima, one for the sums of
/// exponentials, one for values and sums of flows; one more where a row of it has student and teacher close together, and one or two
/// where a signal reads all classes of a row. A call begins with three of some bytes. `forward_kl` with gradient sends 4, 3 and 4
/// numbers a row.
///
/// Labels, weights and temperatures of rows, weights and temperatures of the losses, progress and the reduction are compared before
/// anything of a row travels, bit by bit through a print of 64 bits. The options of losses are not.
///
/// Losses and signals of rows that are sums over classes, or read the label; domains `all`, `masked` and `non_target`. Losses of
/// whole rows or whole batches, the top of the teacher, standardized temperatures, temperatures that are signals, and targets
/// that read their whole row are refused, most of them by the compiler; so are rows on a device, and `batch_over` in the same call.
/// @throws shape_error, value_error on all ranks.
///
/// After M. Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism", 2019
/// (arXiv:1909.08053).
template <communicator C>
detail::classes_over_argument classes_over(const C& world, classes_over_options options = {}) {
  return {world, options};
}

/// @cond
namespace detail {

template <class T, class Lanes, class Mode, class Terms, class Executor>
evaluation run_over_ranks(const problem<T>& in, const Terms& terms, workspace& ws, Executor& executor) {
  return dispatch([&]<class Isa>(Isa) {
    return sharded_sweep<T, lanes_on<Lanes, Isa>, Terms, Mode, Isa>(in, terms).run(ws, executor);
  });
}

template <class A>
inline constexpr bool reads_whole_rows = target<A> && !is_by_element<A> && !is_head<A>;

template <class E, class Plan, class Signature, class... Args>
constexpr bool require_over_ranks() {
  static_assert(std::is_same_v<typename Signature::student_traits::sweep, host_rows>,
                "limbeck: classes_over takes rows on the host; a device's sweep is one kernel for a whole row");
  static_assert(!Plan::template any<rowwise> && !Plan::template any<batchwise>,
                "limbeck: classes_over: a loss of this objective reads whole rows, of which each rank holds some classes; losses that are "
                "sums over classes, or read the label, take shards");
  static_assert(Plan::top == 0,
                "limbeck: classes_over: the top of the teacher is ranked over all classes of a row, of which each rank holds some");
  static_assert(!Plan::template deviates<student_side> && !Plan::template deviates<teacher_side>,
                "limbeck: classes_over: a standardized temperature is the deviation of all classes of a row, of which each rank holds "
                "some");
  static_assert(!measures_temperatures<E> && statistics_of_terms<typename Plan::terms> == 0,
                "limbeck: classes_over: a temperature that is a signal, or a number of all rows in one, is measured before the sweep, on "
                "whole rows; of these each rank holds some classes");
  static_assert(!(reads_whole_rows<Args> || ...),
                "limbeck: classes_over: this target reads a whole row, of which each rank holds some classes; formulas of one element "
                "take shards");
  static_assert(!Signature::teacher_gradient, "limbeck: classes_over: into_teacher(g) has no way over ranks; exchange student and teacher");
  return true;
}

template <class T>
double of_all_ranks(const problem<T>& in, double x) {
  return all_reduce_sum(*in.over->comm, x);
}

template <bool InChunks, class Student, class E, class F, class... Args>
auto with_problem_over_ranks(const E& e, F&& f, Student& student, Args&... args) {
  using Traits = tensor_traits<std::remove_cvref_t<Student>>;
  using T = typename Traits::scalar;
  const meeting_of_classes& given = *the_one_of<meeting_of_classes>(args...);
  const communicator_ref comm = given.comm;
  const std::size_t own = stored_rows<const T>(Traits::view(student)).classes;
  const shards classes(comm.rank(), given.begin(own));
  const auto add_up = [](const communicator_ref& to, T* x, std::size_t n) { all_reduce_sum(to, std::span<T>(x, n)); };
  class_ranks<T> over{&comm, 0, given.options.block_rows, add_up};
  for (int k = 0; k < classes.ranks(); ++k) over.most = (std::max)(over.most, classes.count_of(k));
  const class_ranks_argument<T> settled{&over, classes.first(), classes.total()};
  const auto replaced = [&]<class A>(A& a) -> auto& {
    if constexpr (std::is_same_v<std::remove_cv_t<A>, meeting_of_classes>) {
      return settled;
    } else {
      return a;
    }
  };
  const auto call = [&] { return with_problem<InChunks>(e, f, student, replaced(args)...); };
  std::optional<decltype(call())> result;
  or_else([&] { result.emplace(call()); },
          [&] {
            if (over.opened) go_on();
            open_ranks(over, {}, note_fault([] { go_on(); }));  // of the arguments
          });
  open_ranks(over, {});  // where no row was swept
  *given.others_wait = true;
  return std::move(*result);
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
