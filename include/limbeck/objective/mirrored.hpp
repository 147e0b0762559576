#ifndef LIMBECK_OBJECTIVE_MIRRORED_HPP
#define LIMBECK_OBJECTIVE_MIRRORED_HPP

/// @file
/// The gradient by the teacher: that of the mirrored loss, of which the teacher is the student. A loss of rows is swept once more,
/// with both sides exchanged; a batchwise loss adds to `batch::teacher_gradient` itself.

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/plan.hpp>

#include <boost/hana/transform.hpp>
#include <boost/hana/tuple.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// The same class, seen from the other side.
template <class X>
LIMBECK_INLINE point<X> mirror(const point<X>& x) {
  return {x.q, x.p, x.log_q, x.log_p, -x.log_ratio, -x.difference, reverse_excess(x), x.teacher, x.student};
}

/// A loss that is a sum over classes, of teacher and student.
template <class L>
struct mirrored {
  using limbeck_loss = kind_of<L>;
  static constexpr int temperature_power = L::temperature_power;
  static constexpr bool mean_over_classes = averages_columns<L>, of_features = reads_features<L>, saturates = saturating<L>;
  L inner;

  constexpr explicit mirrored(const L& l) : inner(l) {}
  template <class X>
  LIMBECK_INLINE X value(const point<X>& x) const {
    return inner.value(mirror(x));
  }
  template <class X>
  LIMBECK_INLINE X flow(const point<X>& x) const {
    const point<X> y = mirror(x);
    if constexpr (requires { inner.teacher_flow(y); }) {
      return inner.teacher_flow(y);
    } else {
      return inner.value(y) - inner.flow(y);  // homogeneous of degree 1
    }
  }
  template <class X>
  LIMBECK_INLINE X teacher_flow(const point<X>& x) const {
    return inner.flow(mirror(x));
  }
};

template <class L>
inline constexpr bool has_teacher_flow = requires(const L& l, const point<pack<scalar_lanes<double>>>& x) { l.teacher_flow(x); };
template <class L>
inline constexpr bool goes_into_teacher = false;
template <class L>
  requires requires { L::into_teacher; }
inline constexpr bool goes_into_teacher<L> = L::into_teacher;

/// Whether there is a derivative of a term by its teacher, or it reads none.
template <class Term>
constexpr bool takes_teacher_gradient() {
  using L = typename Term::loss_type;
  constexpr bool plain = std::is_same_v<typename Term::domain, all> && std::is_same_v<typename Term::signal_type, no_signal> &&
                         !is_deviation<typename Term::student_slot> && !is_deviation<typename Term::teacher_slot>;
  if constexpr (!needs_teacher<L>()) {
    return true;
  } else if constexpr (is<L, batchwise>) {
    return goes_into_teacher<L>;
  } else if constexpr (is<L, pointwise>) {
    return plain;
  } else {
    return plain && is<L, logitwise> && has_teacher_flow<L>;
  }
}

template <std::size_t, class Term>
using is_mirrored = std::bool_constant<!is<typename Term::loss_type, batchwise> && needs_teacher<typename Term::loss_type>()>;

/// A learned temperature is a number here: its derivative is the other sweep's.
template <class Slot>
struct unlearned_slot {
  using type = Slot;
};
template <std::size_t Index>
struct unlearned_slot<learned_slot<Index>> {
  using type = batch_slot<Index>;  // what is learned has an index of its own
};

/// A term whose student is the teacher.
template <class Term>
auto mirrored_term(const Term& t) {
  using L = typename Term::loss_type;
  constexpr bool rows = std::is_same_v<typename Term::student_slot, row_slot>;
  static_assert(rows == std::is_same_v<typename Term::teacher_slot, row_slot> && !std::is_same_v<typename Term::teacher_slot, teacher_row_slot>,
                "limbeck: into_teacher(g) takes per_row{} temperatures for both sides or for none");
  using Student = typename unlearned_slot<typename Term::teacher_slot>::type;
  using Teacher = typename unlearned_slot<typename Term::student_slot>::type;
  const double scale = rows ? 1 : power(t.student_t, t.power);  // by the temperature that was the student's
  return term<mirrored<L>, all, Student, Teacher>{mirrored<L>(t.loss), {}, t.weight * scale, t.teacher_t, t.student_t,
                                                  rows ? t.power : 0, t.name};
}
template <class... Term>
auto mirrored_terms(const hana::tuple<Term...>& terms) {
  return hana::transform(terms, [](const auto& t) { return mirrored_term(t); });
}

/// The call with both sides exchanged: its gradient is the teacher's.
template <class T>
problem<T> mirrored_problem(const problem<T>& in) {
  problem<T> back = in;
  back.student = in.teacher;
  back.teacher = in.student;
  back.gradient = in.teacher_gradient;
  back.add = in.add_teacher;
  back.gradient_beyond = 0;
  back.soft_labels = {};
  back.row_losses = back.row_temperature_gradient = nullptr;
  return back;
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
