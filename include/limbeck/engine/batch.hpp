#ifndef LIMBECK_ENGINE_BATCH_HPP
#define LIMBECK_ENGINE_BATCH_HPP

/// @file
/// What a batchwise loss sees: all rows at once, scratch memory, an executor and the dense primitives of the backend.
///
/// `using limbeck_loss = batchwise;` and `template <class T> double operator()(const batch<T>&) const`, which returns the
/// loss and, where there is a gradient, *adds* `scale` times its derivative with respect to the student to it.
///
/// It may declare `static constexpr bool any_width = true` where student and teacher may have different numbers of
/// columns, `needs_teacher = false`, `needs_labels = true`, and `temperature_power` (0 unless told; a batchwise
/// loss that declares it reads `student_temperature` and `teacher_temperature`, the others refuse `at_temperature`).

#include <limbeck/core/errors.hpp>
#include <limbeck/core/executor.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/engine/dense.hpp>
#include <limbeck/engine/statistics.hpp>

#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// A whole batch, for a batchwise loss.
template <class T>
struct batch {
  rows<const T> student;  ///< samples x features (or classes)
  rows<const T> teacher;  ///< the same samples; no data where none is given
  any_vector labels;      ///< one a sample, or empty
  rows<T> gradient;       ///< to be added to; no data where none is wanted
  T scale;                ///< of the gradient: the term's weight, the reduction, T^k
  double student_temperature, teacher_temperature;  ///< of the term, at this call
  scratch& memory;                                  ///< for as long as the call runs
  const executor_ref& on;             ///< same bits for any number of workers, please
  const dense_primitives<T>& dense;  ///< products

  /// Whether the loss has to add to `gradient`.
  bool wants_gradient() const { return gradient.data != nullptr; }
  /// Rows of the batch.
  std::size_t samples() const { return student.samples; }
};

namespace detail {

/// The products of a backend, where it has some.
template <class Traits, class T>
const dense_primitives<T>& dense_for() {
  if constexpr (requires { Traits::template dense<T>(); }) {
    return Traits::template dense<T>();
  } else {
    return dense_of<T>();
  }
}

/// One batchwise term of an objective: its weighted value; the gradient is added to.
template <class Traits, class T, class Term, class Executor>
double run_batchwise(const problem<T>& in, const Term& term, bool gradient, workspace& ws, Executor& executor) {
  const executor_ref on(executor);
  scratch memory(ws);
  const double weight = term.weight * power(term.student_t, term.power);
  const batch<T> x{in.student, in.teacher, in.labels, gradient ? in.gradient : rows<T>{}, static_cast<T>(weight),
                   term.student_t, term.teacher_t, memory, on, dense_for<Traits, T>()};
  return weight * term.loss(x);
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
