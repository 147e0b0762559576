#ifndef LIMBECK_ENGINE_BOUND_SIGNAL_HPP
#define LIMBECK_ENGINE_BOUND_SIGNAL_HPP

/// @file
/// A signal at its place in an objective: every leaf has a side, a temperature and a number, every schedule a value.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/keys.hpp>
#include <limbeck/signal/batch_statistics.hpp>
#include <limbeck/signal/expression.hpp>
#include <limbeck/signal/reads.hpp>
#include <limbeck/signal/signals.hpp>

#include <boost/hana/append.hpp>
#include <boost/hana/concat.hpp>
#include <boost/hana/fold_left.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>

#include <algorithm>
#include <span>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

namespace hana = boost::hana;

/// What a leaf makes the sweep compute: bits of `leaf_uses`.
inline constexpr unsigned uses_sum = 1, uses_second = 2;

template <class Leaf>
constexpr unsigned leaf_uses() {
  unsigned uses = 0;
  if constexpr (std::is_same_v<typename Leaf::limbeck_signal, pair_signal>) return uses_sum;
  if constexpr (requires(const class_point<pack<scalar_lanes<double>>>& x) { Leaf::at_class(x); }) uses += uses_sum;
  if constexpr (requires { Leaf::needs_second; }) uses += uses_second;
  return uses;
}

/// No signal: the weight 1.
struct no_signal {
  static constexpr std::size_t leaves = 0;
  static constexpr bool needs_teacher = false, needs_labels = false;
  static constexpr auto softmaxes() { return hana::tuple<>{}; }
  static constexpr auto pairs() { return hana::tuple<>{}; }
  static constexpr auto slot_keys() { return hana::tuple<>{}; }
  template <class Sweep>
  static constexpr bool lives_in = true;
  static constexpr void uses_into(unsigned*) {}
  template <class F>
  LIMBECK_HOST_DEVICE constexpr void each_leaf(F&&) const {}
  template <class Read>
  LIMBECK_HOST_DEVICE constexpr double value(const Read&, std::size_t) const {
    return 1;
  }
  void check(std::size_t) const {}
};

/// What is read off a row: the leaf @p Self, the @p Index -th of its signal.
template <class Self, std::size_t Index, unsigned Uses>
struct bound_reading {
  static constexpr std::size_t leaves = 1, index = Index;
  static constexpr unsigned uses = Uses;
  template <class Sweep>
  static constexpr bool lives_in = true;
  static constexpr void uses_into(unsigned* out) { out[Index] = uses; }
  template <class F>
  LIMBECK_INLINE constexpr void each_leaf(F&& f) const {
    f(self());
  }
  template <class Read>
  LIMBECK_HOST_DEVICE constexpr double value(const Read& read, std::size_t) const {
    return read(self());
  }
  void check(std::size_t) const {}

 private:
  LIMBECK_HOST_DEVICE constexpr const Self& self() const { return static_cast<const Self&>(*this); }
};

/// A signal of one row.
template <class Leaf, class Who, class Slot, std::size_t Index>
struct bound_leaf : bound_reading<bound_leaf<Leaf, Who, Slot, Index>, Index, leaf_uses<Leaf>()> {
  static constexpr bool needs_teacher = std::is_same_v<Who, teacher_side>;
  static constexpr bool needs_labels = leaf_needs_labels<Leaf>();
  using kind = row_signal;
  using key = softmax_key<Who, Slot, all>;
  Leaf leaf;
  static constexpr auto softmaxes() { return hana::make_tuple(hana::type_c<key>); }
  static constexpr auto pairs() { return hana::tuple<>{}; }
  static constexpr auto slot_keys() { return hana::make_tuple(hana::type_c<Slot>); }
};

/// A signal of the student's and the teacher's row.
template <class Loss, class StudentSlot, class TeacherSlot, std::size_t Index>
struct bound_pair : bound_reading<bound_pair<Loss, StudentSlot, TeacherSlot, Index>, Index, uses_sum> {
  static constexpr bool needs_teacher = true, needs_labels = false;
  using kind = pair_signal;
  using key = pair_key<StudentSlot, TeacherSlot, all>;
  Loss loss;
  static constexpr auto softmaxes() {
    return hana::make_tuple(hana::type_c<typename key::student>, hana::type_c<typename key::teacher>);
  }
  static constexpr auto pairs() { return hana::make_tuple(hana::type_c<key>); }
  static constexpr auto slot_keys() { return hana::make_tuple(hana::type_c<StudentSlot>, hana::type_c<TeacherSlot>); }
};

/// A number of this call.
struct bound_number : no_signal {
  double number;
  template <class Read>
  LIMBECK_HOST_DEVICE constexpr double value(const Read&, std::size_t) const {
    return number;
  }
};

/// A number of this call that the device finds, for the sweep behind it.
struct bound_place : no_signal {
  const double* number;
  template <class Read>
  LIMBECK_HOST_DEVICE double value(const Read&, std::size_t) const {
    return *number;
  }
};

/// A number of the group that a row is in.
struct bound_group_number : no_signal {
  std::span<const std::size_t> offsets;
  const double* numbers;
  template <class Read>
  double value(const Read&, std::size_t r) const {
    return numbers[std::upper_bound(offsets.begin(), offsets.end(), r) - offsets.begin() - 1];
  }
};

/// A number of all rows of a call, before it is measured: see objective/batch_numbers.hpp.
template <class Rows, class S, class U, class Groups>
struct bound_statistic : no_signal {
  using student_slot = S;
  using teacher_slot = U;
  using groups_type = Groups;
  static constexpr bool needs_teacher = Rows::needs_teacher, needs_labels = Rows::needs_labels;
  Rows of_rows;
  rank_in_rows which;
  Groups groups;
  template <class Sweep>
  static constexpr bool lives_in = Rows::template lives_in<Sweep>;
  void check(std::size_t samples) const {
    of_rows.check(samples);
    groups.check(samples);
  }
};

/// One number a row.
template <class Memory, class Reader>
struct bound_given : no_signal {
  Reader reader;
  std::size_t size;
  template <class Sweep>
  static constexpr bool lives_in = std::is_same_v<Sweep, Memory>;
  template <class Read>
  LIMBECK_HOST_DEVICE double value(const Read&, std::size_t r) const {
    return reader(r);
  }
  void check(std::size_t samples) const {
    if (size != samples) throw_length("given", size, samples);
  }
};

/// f of other signals.
template <class F, class... S>
struct bound_node {
  using function = F;
  static constexpr std::size_t leaves = (S::leaves + ...);
  static constexpr bool needs_teacher = (S::needs_teacher || ...), needs_labels = (S::needs_labels || ...);
  F apply;
  hana::tuple<S...> operands;
  static constexpr auto softmaxes() {
    return hana::fold_left(hana::make_tuple(S::softmaxes()...), hana::tuple<>{}, hana::concat);
  }
  static constexpr auto pairs() {
    return hana::fold_left(hana::make_tuple(S::pairs()...), hana::tuple<>{}, hana::concat);
  }
  static constexpr auto slot_keys() {
    return hana::fold_left(hana::make_tuple(S::slot_keys()...), hana::tuple<>{}, hana::concat);
  }
  template <class Sweep>
  static constexpr bool lives_in = (S::template lives_in<Sweep> && ...);
  static constexpr void uses_into(unsigned* out) { (S::uses_into(out), ...); }
  template <class G>
  LIMBECK_INLINE constexpr void each_leaf(G&& g) const {
    each([&](const auto& s) LIMBECK_LAMBDA_INLINE { s.each_leaf(g); });
  }
  template <class Read>
  LIMBECK_HOST_DEVICE constexpr double value(const Read& read, std::size_t r) const {
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      return static_cast<double>(apply(operands[hana::size_t<Index>{}].value(read, r)...));
    }(std::make_index_sequence<sizeof...(S)>{});
  }
  void check(std::size_t samples) const {
    each([&](const auto& s) { s.check(samples); });
  }

 private:
  template <class G>
  LIMBECK_INLINE constexpr void each(G&& g) const {
    [&]<std::size_t... Index>(std::index_sequence<Index...>) LIMBECK_LAMBDA_INLINE {
      (g(operands[hana::size_t<Index>{}]), ...);
    }(std::make_index_sequence<sizeof...(S)>{});
  }
};

/// What the weight of a term is and its settings besides: the first of its operands, and `Member` of its loss for each of the others.
template <auto... Member>
struct weight_and_settings {
  template <class... Number>
  LIMBECK_HOST_DEVICE constexpr double operator()(double weight, const Number&...) const {
    return weight;
  }
  template <class Loss>
  LIMBECK_HOST_DEVICE static constexpr void put(Loss& loss, const double* number) {
    ((loss.*Member = static_cast<std::remove_cvref_t<decltype(loss.*Member)>>(*number++)), ...);
  }
  template <class Loss>
  LIMBECK_HOST_DEVICE static constexpr void take(const Loss& loss, double* number) {
    ((*number++ = static_cast<double>(loss.*Member)), ...);
  }
};
template <class Signal>
inline constexpr std::size_t settings_in = 0;
template <auto... Member, class... S>
inline constexpr std::size_t settings_in<bound_node<weight_and_settings<Member...>, S...>> = sizeof...(Member);

template <class Who, class S, class U, std::size_t First, class Signal, std::size_t... Index>
constexpr auto bind_operands(const Signal& s, double progress, std::index_sequence<Index...>);

/// Binds a signal: @p Who is the side of leaves that name none (void: they must), @p S and @p U are the temperatures of
/// the place, leaves are counted from @p First.
template <class Who, class S, class U, std::size_t First, class Signal>
constexpr auto bind_signal(const Signal& s, double progress) {
  using Kind = typename Signal::limbeck_signal;
  if constexpr (std::is_same_v<Kind, row_signal>) {
    static_assert(!std::is_void_v<Who>,
                  "limbeck: this signal is read off one row; say whose, of_student(signal) or of_teacher(signal)");
    return bound_leaf<Signal, Who, std::conditional_t<std::is_same_v<Who, teacher_side>, U, S>, First>{{}, s};
  } else if constexpr (std::is_same_v<Kind, pair_signal>) {
    return bound_pair<decltype(s.loss), S, U, First>{{}, s.loss};
  } else if constexpr (requires { typename Signal::side; }) {
    return bind_signal<typename Signal::side, S, U, First>(s.inner, progress);
  } else if constexpr (requires { s.number; }) {
    return bound_number{{}, s.number(progress)};
  } else if constexpr (requires { s.of_rows; }) {
    const auto rows = bind_signal<Who, S, U, 0>(s.of_rows, progress);
    return bound_statistic<std::remove_cv_t<decltype(rows)>, S, U, decltype(s.groups)>{{}, rows, s.which(progress), s.groups};
  } else if constexpr (requires { s.read; }) {
    return bound_given<typename Signal::memory, decltype(s.read)>{{}, s.read, s.size};
  } else {
    static_assert(requires { s.operands; },
                  "limbeck: at_temperature(T, signal) stands around a whole measured signal; in an objective, the place "
                  "of a signal gives its temperature");
    return bind_operands<Who, S, U, First>(s, progress, std::make_index_sequence<std::tuple_size_v<decltype(s.operands)>>{});
  }
}

/// The signal of a term with one setting more: @p more is what `Member` of the loss is in each row.
template <auto Member, class Signal, class More>
constexpr auto with_setting(const Signal& signal, const More& more) {
  return bound_node<weight_and_settings<Member>, Signal, More>{{}, hana::make_tuple(signal, more)};
}
template <auto Member, auto... Before, class... S, class More>
constexpr auto with_setting(const bound_node<weight_and_settings<Before...>, S...>& signal, const More& more) {
  return bound_node<weight_and_settings<Before..., Member>, S..., More>{{}, hana::append(signal.operands, more)};
}

template <class F, class... S>
constexpr bound_node<F, S...> make_node(const F& f, const hana::tuple<S...>& operands) {
  return {f, operands};
}

/// Leaves of a signal that is not bound yet.
template <class Signal>
constexpr std::size_t leaves_of() {
  if constexpr (!std::is_same_v<typename Signal::limbeck_signal, signal_expression>) {
    return 1;
  } else if constexpr (requires(const Signal& s) { s.inner; }) {
    return leaves_of<std::remove_cvref_t<decltype(std::declval<const Signal&>().inner)>>();
  } else if constexpr (requires(const Signal& s) { s.operands; }) {
    return []<class... S>(const std::tuple<S...>*) { return (leaves_of<S>() + ... + 0); }(
        static_cast<const std::remove_cvref_t<decltype(std::declval<const Signal&>().operands)>*>(nullptr));
  } else {
    return 0;
  }
}
template <class... S>
constexpr std::size_t leaves_before(const std::tuple<S...>*, std::size_t index) {
  const std::size_t counts[] = {leaves_of<S>()...};
  std::size_t leaves = 0;
  for (std::size_t i = 0; i != index; ++i) leaves += counts[i];
  return leaves;
}
template <class Who, class S, class U, std::size_t First, class Signal, std::size_t... Index>
constexpr auto bind_operands(const Signal& s, double progress, std::index_sequence<Index...>) {
  using Operands = std::remove_cvref_t<decltype(s.operands)>;
  const auto operands = hana::make_tuple(
      bind_signal<Who, S, U,
                  First + leaves_before(static_cast<const Operands*>(nullptr), Index)>(
          std::get<Index>(s.operands), progress)...);
  return make_node(s.apply, operands);
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
