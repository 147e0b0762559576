#ifndef LIMBECK_BACKEND_THRUST_BATCH_OUTCOME_HPP
#define LIMBECK_BACKEND_THRUST_BATCH_OUTCOME_HPP

/// @file
/// What becomes of a loss of a whole batch in device memory: it is added to the outcome of the call, or the number to blame
/// is found.

#include <limbeck/backend/thrust/counted_rows.hpp>

#include <cstddef>
#include <limits>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// An outcome of which no sweep has written anything.
struct begin_outcome {
  device_outcome* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() != 0) return;
    out->loss = out->weight = out->rows = 0;
    for (double& by_t : out->temperature_gradient) by_t = 0;
    out->fault_code = 0;
  }
};

/// Where a sweep of a call leaves what it finds.
struct outcome_at {
  using limbeck_deferred = void;
  device_outcome* place;
  device_outcome* begin(device_stream, std::size_t, std::int64_t) const { return place; }
};

/// Adds a term to the outcome of the call. Where it is not finite, the input to blame is looked for; where there is none, it is
/// +inf, or lost.
template <class T>
struct conclude_term {
  rows<const T> student, teacher;
  const std::size_t* call_rows;  // null: all
  device_number number;
  double factor, rows_that_count, weight;
  device_outcome* out;

  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    const double loss = number.value();
    fault_place place;
    const bool inside = number.inner && number.inner->fault_code != 0;
    if (loss - loss != 0 && !(inside && number.told)) place = blame(team, loss);
    if (team.rank() != 0) return;
    if (inside && (place.code == fault::none || place.code == fault::range)) place = number.inner->place();
    out->rows = rows_that_count;
    out->weight = weight;
    if (out->fault_code != 0) return;
    if (place.code == fault::none) {
      out->loss += factor * loss;
    } else {
      out->report(place);
    }
  }

 private:
  template <class Team>
  LIMBECK_HOST_DEVICE fault_place blame(const Team& team, double loss) const {
    fault_place place;
    if (number.of_logits) {
      if (find_bad_logits(team, student, fault::student, place)) return place;
      if (find_bad_logits(team, teacher, fault::teacher, place)) return place;
    } else {
      if (find_not_finite(team, student, fault::student_number, place)) return place;
      if (find_not_finite(team, teacher, fault::teacher_number, place)) return place;
    }
    if (loss > 0) return place;
    place.code = fault::range;
    place.loss = loss;
    place.in_float = sizeof(T) == 4;
    place.value = -1;
    find_largest(team, student, false, place);
    find_largest(team, teacher, true, place);
    return place;
  }
  LIMBECK_HOST_DEVICE std::size_t row_of_call(std::size_t r) const { return call_rows ? call_rows[r] : r; }
  LIMBECK_HOST_DEVICE static std::size_t count(const rows<const T>& x) { return x.data ? x.samples * x.classes : 0; }
  LIMBECK_HOST_DEVICE static T element(const rows<const T>& x, std::size_t i) { return x(i / x.classes, i % x.classes); }
  LIMBECK_HOST_DEVICE void put(const rows<const T>& x, std::size_t i, fault_place& place) const {
    place.row = row_of_call(i / x.classes);
    place.column = i % x.classes;
  }
  template <class Team>
  LIMBECK_HOST_DEVICE bool find_not_finite(const Team& team, const rows<const T>& x, fault code, fault_place& place) const {
    constexpr double none = -std::numeric_limits<double>::infinity();
    double first = none;
    for_own<T>(team, count(x), [&](std::size_t i) {
      const T v = element(x, i);
      if (v - v != T(0) && -static_cast<double>(i) > first) first = -static_cast<double>(i);
    });
    first = highest_over(team, first);
    if (!(first > none)) return false;
    const auto i = static_cast<std::size_t>(-first);
    place.code = code;
    place.value = static_cast<double>(element(x, i));
    place.has_column = true;
    put(x, i, place);
    return true;
  }
  /// The first row without a softmax: with a number that is neither finite nor -inf, or with none that is finite.
  template <class Team>
  LIMBECK_HOST_DEVICE bool find_bad_logits(const Team& team, const rows<const T>& x, fault code, fault_place& place) const {
    constexpr double none = -std::numeric_limits<double>::infinity();
    double first = none;
    for_own<T>(team, x.samples, [&](std::size_t r) {
      bool bad = false, any = false;
      for (std::size_t c = 0; c < x.classes; ++c) {
        const T v = x(r, c);
        any = any || v - v == T(0);
        bad = bad || !(v <= (std::numeric_limits<T>::max)());
      }
      if ((bad || !any) && -static_cast<double>(r) > first) first = -static_cast<double>(r);
    });
    first = highest_over(team, first);
    if (!(first > none)) return false;
    problem<T> in;
    in.student = student;
    in.teacher = teacher;
    const auto r = static_cast<std::size_t>(-first);
    place = locate_fault(in, code, r);
    place.row = row_of_call(r);
    return true;
  }
  template <class Team>
  LIMBECK_HOST_DEVICE void find_largest(const Team& team, const rows<const T>& x, bool of_teacher, fault_place& place) const {
    const auto size = [&](std::size_t i) {
      const T v = element(x, i);
      return static_cast<double>(v < T(0) ? -v : v);
    };
    double most = -1, first = -std::numeric_limits<double>::infinity();
    for_own<T>(team, count(x), [&](std::size_t i) { most = size(i) > most ? size(i) : most; });
    most = highest_over(team, most);
    if (!(most > place.value)) return;
    for_own<T>(team, count(x), [&](std::size_t i) {
      if (size(i) == most && -static_cast<double>(i) > first) first = -static_cast<double>(i);
    });
    first = highest_over(team, first);
    place.value = most;
    place.of_teacher = of_teacher;
    put(x, static_cast<std::size_t>(-first), place);
  }
};

/// One batchwise term of an objective: added to the outcome, and to the gradient.
template <class T, class Term>
void run_batchwise_on_device(const counted_device_rows<T>& in, const Term& term, const any_vector& weights, const problem<T>& call,
                             device_workspace& ws, const dense_primitives<T, device_memory>& dense, device_outcome* out) {
  device_scratch memory(ws);
  const double weight = term.weight * power(term.student_t, term.power);
  const batch<T, device_memory> x{in.student, in.teacher, in.labels, in.gradient, static_cast<T>(weight), term.student_t,
                                  term.teacher_t, memory, in.on, dense, in.call_rows, call.samples(), in.teacher_gradient, weights,
                                  in.mean_over, call.progress, call.unlabelled_index};
  if constexpr (std::is_invocable_v<decltype(term.loss), decltype(x)>) {  // else it has been said
    const device_number value = term.loss(x);
    batch_memory<device_memory>::each_row(
        in.on, 1, whole_block,
        conclude_term<T>{in.student, in.teacher, in.call_rows.data(), value, weight, static_cast<double>(in.numbers.rows),
                         in.numbers.weight, out});
  }
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
