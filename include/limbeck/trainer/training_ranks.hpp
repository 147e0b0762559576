#ifndef LIMBECK_TRAINER_TRAINING_RANKS_HPP
#define LIMBECK_TRAINER_TRAINING_RANKS_HPP

/// @file
/// The ranks over which a run is trained, each on its part of the rows of every step.

#include <limbeck/core/workspace.hpp>
#include <limbeck/ranks/reductions.hpp>
#include <limbeck/ranks/shards.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
inline constexpr one_rank no_other_rank{};
}  // namespace detail

/// Who trains, and how gradients become one: `fit(data, {.ranks = world})`, or `{.ranks = {world, [&] { ... }}}` with a hook of yours.
/// Without a hook the trainer sums `student.gradients()`, spans on the host. A hook is called by all ranks, where there are several, once
/// a step, after the last micro-batch and before the optimiser, and leaves in the student's gradients the *sum* of those of all ranks
/// (NCCL, torch.distributed): a rank's gradient is that of its rows, divided by the weight of all ranks' rows. What it throws, is thrown
/// by `fit` on its rank alone. What an objective learns is summed by the trainer in any case, but not where it has seen all rows on each
/// rank (`batch_over(world, objective)`). The trainer sums in the order of the ranks; a rank sends 2 (1 - 1/size) of the bytes of its
/// gradients, and holds three copies of them.
class training_ranks {
 public:
  /// This program alone.
  training_ranks() = default;
  /// Those of @p comm, which outlives the run.
  template <communicator C>
  training_ranks(const C& comm, std::function<void()> sum_gradients = {}) : comm_(comm), hook_(std::move(sum_gradients)) {}
  /// Who they are.
  const communicator_ref& comm() const { return comm_; }
  /// How many.
  int size() const { return comm_.size(); }
  /// What sums the student's gradients; empty where the trainer does.
  const std::function<void()>& hook() const { return hook_; }

 private:
  communicator_ref comm_ = detail::no_other_rank;
  std::function<void()> hook_;
};

/// @cond
namespace detail {

/// Gradients in memory that a sum can be written to.
template <class Model>
concept shows_spans = requires(Model& m) {
  std::span(*std::begin(m.gradients()));
  requires std::is_same_v<float, typename decltype(std::span(*std::begin(m.gradients())))::element_type> ||
      std::is_same_v<double, typename decltype(std::span(*std::begin(m.gradients())))::element_type>;
};

/// Sums tensors over ranks, as one message: in its order no number depends on how they are cut.
class span_sums {
 public:
  /// Of @p tensors, a range of spans.
  template <class Tensors>
  void operator()(const communicator_ref& comm, Tensors&& tensors) {
    using T = typename decltype(std::span(*std::begin(tensors)))::element_type;
    std::size_t count = 0;
    for (auto&& x : tensors) count += std::span(x).size();
    T* const all = reinterpret_cast<T*>(flat_.reserve(count * sizeof(T)));
    T* to = all;
    for (auto&& x : tensors) to = std::copy(std::begin(x), std::end(x), to);
    all_reduce_sum(comm, std::span<T>(all, count), ws_);
    const T* from = all;
    for (auto&& x : tensors) {
      std::copy_n(from, std::span(x).size(), std::begin(x));
      from += std::span(x).size();
    }
  }

 private:
  workspace flat_, ws_;
};

/// Data in shards: it says which rows are this rank's.
template <class Data>
concept owns_rows = requires(Data& d, std::size_t row) {
  { d.owns(row) } -> std::convertible_to<bool>;
};
/// Whether a row is this rank's, as far as its data says.
template <class Data>
bool is_own([[maybe_unused]] Data& data, [[maybe_unused]] std::size_t row, const communicator_ref& comm) {
  if constexpr (owns_rows<Data>) {
    return comm.size() == 1 || data.owns(row);
  } else {
    return true;
  }
}
/// Of the rows @p all of a step those that are this rank's: which it `owns`, where the data says so, else an even part of them.
struct own_rows {
  template <class Data>
  own_rows(Data& data, std::span<const std::size_t> all, const communicator_ref& comm) : rows(all) {
    if (comm.size() == 1) return;
    if constexpr (owns_rows<Data>) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (!data.owns(all[i])) continue;
        if (memory.empty()) first = i;
        memory.push_back(all[i]);
      }
      rows = memory;
    } else {
      const shards even = shards::even(comm, all.size());
      first = even.first();
      rows = all.subspan(first, even.count());
    }
  }
  std::vector<std::size_t> memory;
  std::span<const std::size_t> rows;
  std::size_t first = 0;  ///< where they begin among all
};

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
