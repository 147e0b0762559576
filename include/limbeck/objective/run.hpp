#ifndef LIMBECK_OBJECTIVE_RUN_HPP
#define LIMBECK_OBJECTIVE_RUN_HPP

/// @file
/// From the arguments of a call to its sweeps.

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/sweep.hpp>
#include <limbeck/objective/batch_numbers.hpp>
#include <limbeck/objective/flatten.hpp>
#include <limbeck/objective/requirements.hpp>

#include <boost/hana/for_each.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/unpack.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Whether all of some batchwise terms are sums over rows.
template <class... Term>
constexpr bool all_by_row(const hana::tuple<Term...>&) {
  return (is_by_row<typename Term::loss_type> && ...);
}
/// Whether one of them cannot be summed over parts of a call nevertheless.
template <class... Term>
constexpr bool any_relates_rows(const hana::tuple<Term...>&) {
  return (relates_rows<typename Term::loss_type> || ...);
}

/// A signal of each row as the loss of a row.
template <class S = fixed_slot<1, 1>, class U = fixed_slot<1, 1>, class Signal>
auto signal_terms(const Signal& s, double student_t = 1, double teacher_t = 1) {
  return hana::make_tuple(term<one, all, S, U, Signal>{one{}, s, 1, student_t, teacher_t, 0, {}});
}
template <class T>
problem<T> signal_problem(const problem<T>& in, T* out, double* exact = nullptr) {
  problem<T> measured = in;
  measured.row_losses = out;
  measured.row_signals = exact;
  measured.row_temperature_gradient = nullptr;
  measured.reduce = reduction::sum;
  measured.normalizer = 1;
  return measured;
}

/// What signals and losses hold of each row of a call, and what losses ask of its shape.
template <class T, class Terms>
void check_terms(const problem<T>& in, const Terms& terms) {
  hana::for_each(terms, [&](const auto& term) {
    term.signal.check(in.samples_of_call());
    if constexpr (requires { term.loss.check_call(in.samples(), in.classes(), term.student_t, term.teacher_t); })
      term.loss.check_call(in.samples_of_call(), in.classes(), term.student_t, term.teacher_t);
  });
}

/// A sweep: where the rows live decides. Backends specialise it for their own kind of memory.
template <class Sweep>
struct sweep_for;
template <>
struct sweep_for<host_rows> {
  template <class T>
  static void prepare(problem<T>& in) {
    weigh_rows(in);
  }
  template <class T, class Lanes, class Mode, class Terms, class Executor>
  static evaluation run(const problem<T>& in, const Terms& terms, workspace& ws, Executor& executor) {
    return dispatch([&]<class Isa>(Isa) {
      return host_sweep<T, lanes_on<Lanes, Isa>, Terms, Mode, Isa>(in, terms).run(ws, executor);
    });
  }
  /// The losses of rows alone, for what is measured before the rows are swept.
  template <class T, class Lanes, class Mode, class Terms, class Executor>
  static void measure(const problem<T>& in, const Terms& terms, workspace& ws, Executor& executor) {
    (void)run<T, Lanes, Mode>(in, terms, ws, executor);
  }
  /// Before what is measured, or swept back, in a call: its faults are thrown as they come.
  template <class T, class Executor>
  static void begin_measuring(const problem<T>&, workspace&, Executor&) {}
  /// What a functor of one team finds of all rows, or of each group of them.
  template <class T, class Groups>
  static auto number_of(const number_of_rows<T>& f, const Groups& groups, workspace&) {
    const std::size_t n = groups.offsets().empty() ? 1 : groups.offsets().size() - 1;
    for (std::size_t g = 0; g < n; ++g) f(single_team{}, g);
    if constexpr (std::is_same_v<Groups, one_group>) {
      return bound_number{{}, *f.out};
    } else {
      return bound_group_number{{}, groups.offsets(), f.out};
    }
  }
  /// The same, with losses of the whole batch after those of rows.
  template <class Traits, class Mode, class T, class Swept, class Whole, class Executor>
  static evaluation run_with_whole(const problem<T>& in, const Swept& swept, const Whole& whole, workspace& ws,
                                   Executor& executor) {
    evaluation e = require_whole(in, whole[hana::size_c<0>].name, all_by_row(whole));
    if (any_relates_rows(whole)) require_whole_mean(in, e.weight, whole[hana::size_c<0>].name);
    if constexpr (decltype(hana::length(swept))::value > 0) {
      e = run<T, typename Traits::template lanes<T>, Mode>(in, swept, ws, executor);
    } else {
      require_no_row_losses(in);
      if constexpr (Mode::gradient) {
        if (!in.add) clear(in.gradient);
      }
    }
    const auto measured = [&](const auto& signal) {
      workspace& beside = ws.beside().beside().beside().beside();  // what losses inside of others have begins one step before
      const std::span<T> out(reinterpret_cast<T*>(beside.reserve(in.samples() * sizeof(T))), in.samples());
      (void)run<T, typename Traits::template lanes<T>, sweep_mode<false, false, false>>(signal_problem(in, out.data()), signal_terms(signal),
                                                                                       ws, executor);
      return out;
    };
    if (e.rows > 0) e.loss += run_whole<Traits>(in, whole, e.rows, e.weight, Mode::gradient, ws, executor, measured);
    return e;
  }
  template <class T>
  static void clear(const stored_rows<T>& x) {
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) x.put(r, c, T(0));
  }
  template <class T>
  static void clear_on(const workspace&, const stored_rows<T>& x) {
    clear(x);
  }
  template <class T>
  static double squared_norm(const stored_rows<T>& x) {
    double squares = 0;
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) squares += static_cast<double>(x(r, c)) * static_cast<double>(x(r, c));
    return squares;
  }
};

// Terms of a sweep, and terms of the whole batch.

template <std::size_t, class Term>
using is_whole = std::bool_constant<is<typename Term::loss_type, batchwise>>;
template <std::size_t, class Term>
using is_swept = std::bool_constant<!is<typename Term::loss_type, batchwise>>;
/// Whether student and teacher may have different widths: whoever reads both, takes any.
template <class... Term>
constexpr bool terms_take_any_width(const hana::tuple<Term...>&) {
  return (takes_any_width<typename Term::loss_type> || ...) && !(needs_one_width<Term> || ...);
}

template <class Sweep, class T, class Terms>
void check_problem(problem<T>& in, const Terms& terms, bool gradient) {
  check_shapes(in, gradient, terms_take_any_width(terms));
  sweep_for<Sweep>::prepare(in);
}

/// The columns behind the gradient's last, which `first_classes` does not show.
template <class Sweep, class T, class Workspace>
void clear_beyond(const problem<T>& in, const Workspace& ws) {
  if (in.gradient_beyond == 0 || in.add || in.samples() == 0) return;
  stored_rows<T> behind = in.gradient;
  const auto bytes = static_cast<std::ptrdiff_t>(size_of(behind.type));
  behind.data = static_cast<std::byte*>(behind.data) +
                static_cast<std::ptrdiff_t>(in.classes()) * behind.class_stride * bytes;
  behind.classes = in.gradient_beyond;
  sweep_for<Sweep>::clear_on(ws, behind);
}

/// Sweeps the rows, then shows the whole batch to the terms that relate its rows.
template <class Traits, class Mode, class T, class Terms, class Workspace, class Executor>
auto run_terms(const problem<T>& in, const Terms& terms, Workspace& ws, Executor& executor) {
  using Sweep = sweep_for<typename Traits::sweep>;
  const auto swept = terms_that<is_swept>(terms);
  const auto whole = terms_that<is_whole>(terms);
  if constexpr (decltype(hana::length(whole))::value == 0) {
    return Sweep::template run<T, typename Traits::template lanes<T>, Mode>(in, terms, ws, executor);
  } else {
    return Sweep::template run_with_whole<Traits, Mode>(in, swept, whole, ws, executor);
  }
}

/// The teacher's gradient, of the losses of rows: swept with both sides exchanged. Batchwise terms add to it in @p run.
template <class Traits, class T, class Terms, class Workspace, class Executor, class Run>
auto run_both_sides(problem<T>& in, const Terms& terms, Workspace& ws, Executor& executor, const Run& run) {
  using Sweep = sweep_for<typename Traits::sweep>;
  using Mode = sweep_mode<true, false, false>;
  const auto mirror_of = terms_that<is_mirrored>(terms);
  constexpr bool any = decltype(hana::length(mirror_of))::value > 0;
  const auto sweep_back = [&] {
    if constexpr (any)
      Sweep::template measure<T, typename Traits::template lanes<T>, Mode>(mirrored_problem(in), mirrored_terms(mirror_of), ws, executor);
  };
  // On the host a call's faults are those of its own sweep, which goes first; a device finds them whenever it comes to them.
  if constexpr (std::is_same_v<typename Traits::sweep, host_rows>) {
    if (!in.add_teacher) Sweep::clear_on(ws, in.teacher_gradient);
    in.add_teacher = true;
    const auto result = run();
    sweep_back();
    return result;
  } else {
    if (!any && !in.add_teacher) Sweep::clear_on(ws, in.teacher_gradient);
    sweep_back();
    return run();
  }
}

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
      const std::size_t groups = x.groups.offsets().empty() ? 1 : x.groups.offsets().size() - 1;
      double* const out = next_;
      next_ += groups;
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
    return count_numbers(s.of_rows) + (s.groups.offsets().empty() ? 1 : s.groups.offsets().size() - 1);
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

/// f(terms at this progress, problem, workspace, executor, signature) for the arguments of a call. @p InChunks: the student's
/// logits are there a chunk at a time, so that a signal for a temperature is measured then.
template <bool InChunks = false, class Student, class E, class F, class... Args>
auto with_problem(const E& e, F&& f, Student& student, Args&... args) {
  using Bare = std::remove_cvref_t<Student>;
  require_tensor<Bare>();
  (require_argument<std::remove_cvref_t<Args>>(), ...);
  if constexpr (tensor<Bare>) {
    using Traits = tensor_traits<Bare>;
    using T = typename Traits::scalar;
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "limbeck: logits are float or double");
    using Signature = signature<Bare, std::remove_cvref_t<Args>...>;
    static_assert(Signature::tensors <= 2, "limbeck: there is one student and one teacher; further tensors have names, as soft_labels(P) for one-hot rows "
                  "and probabilities in the place of labels");
    problem<T> in;
    using Workspace = workspace_of<typename Traits::sweep>;
    Workspace local;
    Workspace* ws = &local;
    std::size_t seen = 0;
    apply_argument<T, typename Traits::sweep>(in, ws, seen, student);
    (apply_argument<T, typename Traits::sweep>(in, ws, seen, args), ...);
    const auto terms = flatten(e, context<>{.progress = in.progress});
    using Plan = typename plan_of<std::remove_cv_t<decltype(terms)>>::type;
    constexpr bool measured = has_temperature_signal<E>();
    static_assert(require_call<T, Plan, Signature, measured, is_scheduled<E>()>::checked());
    if constexpr (Plan::softmaxes::size > 0) require_two_classes(in);
    in.settle_labels();
    check_terms(in, terms);
    if constexpr (InChunks) {
      static_assert(statistics_of_terms<std::remove_cv_t<decltype(terms)>> == 0 && !temperatures_hold_statistics<E>(),
                    "limbeck: median_of, quantile_of, mean_of and share_of read all rows before the first is swept, and logits_of shows them a "
                    "chunk at a time; measure(signal, ...) first, and give what comes of it");
      return f(terms, in, *ws, executor_of(args...), Signature{});
    } else {
      using Target = typename Signature::target_type;
      if constexpr (measured || has_temperature_signal<E, teacher_side>() || statistics_of_terms<std::remove_cv_t<decltype(terms)>> > 0 ||
                    Signature::teacher_gradient)
        sweep_for<typename Traits::sweep>::begin_measuring(in, *ws, executor_of(args...));
      if constexpr (measured || has_temperature_signal<E, teacher_side>()) {
        check_shapes(in, false, false);
        measure_temperatures<Traits, Target>(e, in, *ws, executor_of(args...));
      }
      return f(measured_terms<Traits, Target>(terms, in, *ws, executor_of(args...)), in, *ws, executor_of(args...), Signature{});
    }
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
