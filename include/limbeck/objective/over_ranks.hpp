#ifndef LIMBECK_OBJECTIVE_OVER_RANKS_HPP
#define LIMBECK_OBJECTIVE_OVER_RANKS_HPP

/// @file
/// An objective whose every call is on the batch of all ranks: for trainers, which learn it from the type.
///
///     lk::trainer trainer{student, teacher, lk::batch_over(world, objective), optimizer};

#include <limbeck/objective/expression.hpp>
#include <limbeck/ranks/batches.hpp>

#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// An objective on the rows of all ranks: see batch_over(world, objective).
template <loss Objective>
class objective_over_ranks {
 public:
  /// @cond
  using limbeck_over_ranks = void;
  objective_over_ranks(const communicator_ref& ranks, Objective o) : inner(std::move(o)), over_{ranks} {}
  /// @endcond
  /// The objective's call, with `batch_over(world)` at its end. Collective.
  template <class... Args>
  auto operator()(Args&&... args) const {
    return inner(std::forward<Args>(args)..., over_);
  }
  /// The same without the gradient.
  template <class... Args>
  auto value(Args&&... args) const {
    return inner.value(std::forward<Args>(args)..., over_);
  }
  /// The same term by term.
  template <class... Args>
  auto report(Args&&... args) const {
    return inner.report(std::forward<Args>(args)..., over_);
  }
  /// Its terms, on whatever rows.
  auto plan(double progress = 0) const { return inner.plan(progress); }
  /// Over whom.
  const communicator_ref& comm() const { return over_.ranks; }
  /// @cond
  /// In the place of a call, where a rank has nothing to bring to it but what it catches: throws that on all.
  void give_up() const { over_.give_up(); }
  /// @endcond

  Objective inner;  ///< what it is on one machine

 private:
  detail::batch_over_argument over_;
};

/// `batch_over(world, objective)`: @p objective, a loss or a composition of losses, with `batch_over(world)` added to each of its
/// calls: `value`, `report` and the call itself. The trainer takes it in the place of an objective, with `.ranks = world`, and
/// losses that relate samples then see all rows of a step, see `trainer`.
/// @p world outlives the result; what the objective learns or remembers it refers to, as ever.
template <class C, class Objective>
auto batch_over(const C& world, Objective objective) {
  static_assert(communicator<C>, "limbeck: batch_over(world, objective) takes a communicator first: mpi, one_rank, or a class with rank, "
                                 "size, all_gather, all_to_all and broadcast");
  static_assert(loss<Objective>, "limbeck: batch_over(world, objective) takes a loss or a composition of losses; a function of yours adds "
                                 "batch_over(world) to the arguments of its call");
  if constexpr (communicator<C> && loss<Objective>) {
    if constexpr (requires { objective.plan(); }) {
      return objective_over_ranks<Objective>(world, std::move(objective));
    } else {
      return objective_over_ranks<limbeck::objective<Objective>>(world, limbeck::objective<Objective>(std::move(objective)));
    }
  }
}

LIMBECK_END_NAMESPACE

#endif
