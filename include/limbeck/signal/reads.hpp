#ifndef LIMBECK_SIGNAL_READS_HPP
#define LIMBECK_SIGNAL_READS_HPP

/// @file
/// What a signal reads besides the student's row, found in its type before it is bound to an objective.

#include <limbeck/signal/batch_statistics.hpp>
#include <limbeck/signal/expression.hpp>

#include <type_traits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

template <class Leaf>
constexpr bool leaf_needs_labels() {
  if constexpr (requires { Leaf::needs_labels; }) {
    return Leaf::needs_labels;
  } else {
    return false;
  }
}

/// Whether labels, a vector with one number a row, or the teacher.
template <class S>
struct signal_reads {
  static constexpr bool labels = leaf_needs_labels<S>(), given = false;
  static constexpr bool teacher = std::is_same_v<typename S::limbeck_signal, pair_signal>;
};
template <class Side, class S>
struct signal_reads<sided_signal<Side, S>> : signal_reads<S> {
  static constexpr bool teacher = signal_reads<S>::teacher || std::is_same_v<Side, teacher_side>;
};
template <class F, class... S>
struct signal_reads<signal_node<F, S...>> {
  static constexpr bool labels = (signal_reads<S>::labels || ...), given = (signal_reads<S>::given || ...);
  static constexpr bool teacher = (signal_reads<S>::teacher || ...);
};
template <class N>
struct signal_reads<signal_number<N>> {
  static constexpr bool labels = false, given = false, teacher = false;
};
template <class M, class R>
struct signal_reads<given_signal<M, R>> {
  static constexpr bool labels = false, given = true, teacher = false;
};
template <class S, class Share, class Groups>
struct signal_reads<batch_statistic_signal<S, Share, Groups>> : signal_reads<S> {};
template <class T, class S>
struct signal_reads<tempered_signal<T, S>> : signal_reads<S> {};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
