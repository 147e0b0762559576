#ifndef LIMBECK_OBJECTIVE_SWEEPS_HPP
#define LIMBECK_OBJECTIVE_SWEEPS_HPP

/// @file
/// The sweeps of a call: its losses of rows, and its losses of the whole batch after them; a backend's memory has its own.

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/sweep.hpp>
#include <limbeck/objective/batch_numbers.hpp>
#include <limbeck/objective/flatten.hpp>
#include <limbeck/objective/requirements.hpp>

#include <boost/hana/for_each.hpp>
#include <boost/hana/length.hpp>

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
    if constexpr (requires { term.loss.check_call(in.samples(), in.classes_of_row(), term.student_t, term.teacher_t); })
      term.loss.check_call(in.samples_of_call(), in.classes_of_row(), term.student_t, term.teacher_t);
  });
}

/// The sweep of rows whose classes are over ranks: objective/classes_over.hpp.
template <class T, class Lanes, class Mode, class Terms, class Executor>
evaluation run_over_ranks(const problem<T>& in, const Terms& terms, workspace& ws, Executor& executor);

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
    if constexpr (is_over_ranks<Mode>) {
      return run_over_ranks<T, Lanes, Mode>(in, terms, ws, executor);
    } else {
      return dispatch([&]<class Isa>(Isa) {
        return host_sweep<T, lanes_on<Lanes, Isa>, Terms, Mode, Isa>(in, terms).run(ws, executor);
      });
    }
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
    for (std::size_t g = 0; g < groups.size(); ++g) f(single_team{}, g);
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

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
