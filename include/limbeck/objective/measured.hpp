#ifndef LIMBECK_OBJECTIVE_MEASURED_HPP
#define LIMBECK_OBJECTIVE_MEASURED_HPP

/// @file
/// What is measured before the sweep of a call: temperatures that are signals, and numbers of all rows inside of signals.

#include <limbeck/objective/sweeps.hpp>

#include <boost/hana/transform.hpp>
#include <boost/hana/unpack.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The signal that an expression has for a temperature, if any.
template <class E, class Side = student_side, class Part = void, class Place = void>
constexpr bool has_temperature_signal() {
  if constexpr (!is<E, expression>) {
    return false;
  } else if constexpr (is_part<E>) {
    return has_temperature_signal<typename E::whole_type, Side, E>();
  } else if constexpr (requires(const E& e) { e.first; e.second; }) {
    return has_temperature_signal<decltype(E::first), Side, Part, Place>() ||
           has_temperature_signal<decltype(E::second), Side, Part, Place>();
  } else if constexpr (requires { typename E::place; }) {
    return has_temperature_signal<decltype(E::inner), Side, Part, typename E::place>();
  } else if constexpr (requires(const E& e) { e.student; e.inner; }) {
    using At = std::conditional_t<std::is_same_v<Side, student_side>, decltype(E::student), decltype(E::teacher)>;
    if constexpr (!signal<At> || std::is_void_v<Part>) {
      return signal<At>;
    } else {
      return Part::template has_place<Place, decltype(E::inner)>();
    }
  } else {
    return has_temperature_signal<decltype(E::inner), Side, Part, Place>();
  }
}
template <class Side, class Part = void, class Place = void, class E>
constexpr const auto& temperature_signal(const E& e) {
  if constexpr (is_part<E>) {
    return temperature_signal<Side, E>(*e.whole);
  } else if constexpr (requires { e.first; e.second; }) {
    constexpr bool in_first = has_temperature_signal<decltype(e.first), Side, Part, Place>();
    static_assert(!(in_first && has_temperature_signal<decltype(e.second), Side, Part, Place>()),
                  "limbeck: one sweep has at most one signal for a temperature of a side");
    if constexpr (in_first) {
      return temperature_signal<Side, Part, Place>(e.first);
    } else {
      return temperature_signal<Side, Part, Place>(e.second);
    }
  } else if constexpr (requires { typename E::place; }) {
    return temperature_signal<Side, Part, typename E::place>(e.inner);
  } else if constexpr (requires { e.student; e.inner; }) {
    if constexpr (std::is_same_v<Side, student_side>) {
      return e.student;
    } else {
      return e.teacher;
    }
  } else {
    return temperature_signal<Side, Part, Place>(e.inner);
  }
}

/// Whether a temperature of either side is a signal.
template <class E>
inline constexpr bool measures_temperatures = has_temperature_signal<E>() || has_temperature_signal<E, teacher_side>();

/// A signal of each row to @p out, or as it is compared in a sweep to @p exact, in a sweep of its own.
template <class Traits, class Target, class S, class U, class Signal, class T, class Workspace, class Executor>
void measure_rows(const Signal& s, double student_t, double teacher_t, const problem<T>& in, T* out, double* exact, Workspace& ws, Executor& executor) {
  sweep_for<typename Traits::sweep>::template measure<T, typename Traits::template lanes<T>, sweep_mode<false, false, false, Target>>(
      signal_problem(in, out, exact), signal_terms<S, U>(s, student_t, teacher_t), ws, executor);
}

/// f of a signal, the numbers of all rows in it measured: @p count of them at most.
template <class Traits, class Target, class T, class Workspace, class Executor>
class numbers_of_call {
 public:
  numbers_of_call(const problem<T>& in, std::size_t count, Workspace& ws, Executor& executor)
      : in_(in), ws_(ws), executor_(executor) {
    next_ = reinterpret_cast<double*>(memory_of_numbers(ws).reserve((count + in.samples()) * sizeof(double)));
    values_ = next_ + count;
  }
  template <class Signal>
  auto in(const Signal& s, double student_t, double teacher_t) {
    return with_numbers(s, [&]<class Rows, class S, class U, class Groups>(const bound_statistic<Rows, S, U, Groups>& x) {
      static_assert(std::is_same_v<Groups, one_group> || std::is_same_v<typename Traits::sweep, host_rows>,
                    "limbeck: a statistic of each sequence is the host's; on a device measure(signal, ...) and give what comes of it");
      x.groups.check(in_.samples());
      measure_rows<Traits, Target, S, U>(x.of_rows, student_t, teacher_t, in_, static_cast<T*>(nullptr), values_, ws_, executor_);
      double* const out = next_;
      next_ += x.groups.size();
      return sweep_for<typename Traits::sweep>::number_of(
          number_of_rows<T>{in_, values_, Rows::needs_labels, x.which, x.groups.offsets(), out}, x.groups, ws_);
    });
  }

 private:
  const problem<T>& in_;
  Workspace& ws_;
  Executor& executor_;
  double* next_;
  double* values_;
};

/// How many numbers the statistics of some terms are at run time.
template <class Signal>
std::size_t count_numbers(const Signal& s) {
  if constexpr (statistics_in<Signal> == 0) {
    return 0;
  } else if constexpr (requires { s.of_rows; }) {
    return count_numbers(s.of_rows) + s.groups.size();
  } else {
    return hana::unpack(s.operands, [](const auto&... x) { return (count_numbers(x) + ...); });
  }
}

/// The terms with all numbers that stand in their signals.
template <class Traits, class Target, class T, class Terms, class Workspace, class Executor>
auto measured_terms(const Terms& terms, const problem<T>& in, Workspace& ws, Executor& executor) {
  if constexpr (statistics_of_terms<Terms> == 0) {
    return terms;
  } else {
    check_shapes(in, false, terms_take_any_width(terms));
    const std::size_t count = hana::unpack(terms, [](const auto&... t) { return (count_numbers(t.signal) + ...); });
    numbers_of_call<Traits, Target, T, Workspace, Executor> numbers(in, count, ws, executor);
    return hana::transform(terms, [&](const auto& t) { return weighed_by(t, numbers.in(t.signal, t.student_t, t.teacher_t)); });
  }
}

/// Row temperatures from signals, one a side: a sweep of its own each, since exponentials need them.
template <class Traits, class Target, class E, class T, class Workspace, class Executor>
void measure_temperatures(const E& e, problem<T>& in, Workspace& ws, Executor& executor) {
  using slot = fixed_slot<1, 1>;
  constexpr bool student = has_temperature_signal<E>(), teacher = has_temperature_signal<E, teacher_side>();
  T* const out = reinterpret_cast<T*>(ws.beside().reserve((student + teacher) * in.samples() * sizeof(T)));
  const auto measured = [&](const auto& signal, T* to) {
    const auto s = bind_signal<void, slot, slot, 0>(signal, in.progress);
    s.check(in.samples_of_call());
    const std::size_t count = count_numbers(s);
    numbers_of_call<Traits, Target, T, Workspace, Executor> numbers(in, count, ws, executor);
    measure_rows<Traits, Target, slot, slot>(numbers.in(s, 1, 1), 1, 1, in, to, nullptr, ws, executor);
    return any_vector(to, in.samples());
  };
  any_vector of_student = in.row_temperatures, of_teacher;
  if constexpr (student) of_student = measured(temperature_signal<student_side>(e), out);
  if constexpr (teacher) of_teacher = measured(temperature_signal<teacher_side>(e), out + (student ? in.samples() : 0));
  in.row_temperatures = of_student;
  in.teacher_row_temperatures = of_teacher;
}

/// Whether a temperature's signal holds a statistic.
template <class E>
constexpr bool temperatures_hold_statistics() {
  using slot = fixed_slot<1, 1>;
  bool any = false;
  if constexpr (has_temperature_signal<E>())
    any = any || statistics_in<std::remove_cvref_t<decltype(bind_signal<void, slot, slot, 0>(temperature_signal<student_side>(std::declval<const E&>()), 0.0))>> > 0;
  if constexpr (has_temperature_signal<E, teacher_side>())
    any = any || statistics_in<std::remove_cvref_t<decltype(bind_signal<void, slot, slot, 0>(temperature_signal<teacher_side>(std::declval<const E&>()), 0.0))>> > 0;
  return any;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
