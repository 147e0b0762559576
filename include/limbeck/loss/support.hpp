#ifndef LIMBECK_LOSS_SUPPORT_HPP
#define LIMBECK_LOSS_SUPPORT_HPP

/// @file
/// What the losses of a whole batch share: their checks, what rows count for, a sum over rows that no number of threads changes, and
/// matrices, turned or contiguous. What is done to the numbers of a row stands in loss/row_loops.hpp.

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/dense.hpp>  // what the objective hands to a batchwise loss
#include <limbeck/engine/problem.hpp>
#include <limbeck/loss/row_loops.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// @throws value_error at the first number of @p x, rows of @p of, that is not finite.
template <class T>
void check_finite(const batch<T>& of, const rows<const T>& x, const char* argument) {
  for (std::size_t r = 0; r < x.samples; ++r) {
    if (x.class_stride == 1 && all_within(x.row(r), x.classes, (std::numeric_limits<T>::max)())) continue;
    T total = 0;  // of zeros, and NaN where there is anything else
    for (std::size_t c = 0; c < x.classes; ++c) total += x(r, c) - x(r, c);
    if (total == 0) continue;
    for (std::size_t c = 0; c < x.classes; ++c)
      if (x(r, c) - x(r, c) != 0) throw_not_finite(argument, static_cast<double>(x(r, c)), of.row_of_call(r), c);
  }
}

/// @p value; where it is not finite, the input to blame is looked for; where there is none, it is +inf, or lost.
/// @throws value_error that names the input, or the largest one where finite numbers give none.
template <class T>
double finite(const batch<T>& x, double value) {
  if (value - value == 0) return value;
  check_finite(x, x.student, "student");
  if (x.teacher.data != nullptr) check_finite(x, x.teacher, "teacher");
  if (value == std::numeric_limits<double>::infinity()) return value;
  fault_place at;
  at.code = fault::range, at.loss = value, at.in_float = sizeof(T) == 4, at.value = -1;
  for (const rows<const T>* side : {&x.student, &x.teacher}) {
    for (std::size_t r = 0; side->data && r < side->samples; ++r)
      for (std::size_t c = 0; c < side->classes; ++c)
        if (const double size = std::abs(static_cast<double>((*side)(r, c))); size > at.value)
          at.value = size, at.row = x.row_of_call(r), at.column = c, at.of_teacher = side == &x.teacher;
  }
  throw_fault(at, 0, 0);
}
/// What a loss returns: @p factor times a sum that stands in the batch's memory. On a device its faults are found by what takes
/// the number, see batch_number.
template <class T, class Memory>
batch_number<Memory> finite(const batch<T, Memory>& x, double factor, const double* sum) {
  if constexpr (batch<T, Memory>::on_host) {
    return finite(x, factor * *sum);
  } else {
    return {0, factor, sum};
  }
}

/// The same of a loss of logits, of which some may be masked, on a device.
template <class T, class Memory>
batch_number<Memory> finite_of_logits(const batch<T, Memory>&, const double* value) {
  batch_number<Memory> number(0, 1, value);
  number.of_logits = true;
  return number;
}
/// The same of a sum over @p count.
template <class T, class Memory>
batch_number<Memory> finite_mean(const batch<T, Memory>& x, const double* sum, std::size_t count) {
  if constexpr (batch<T, Memory>::on_host) {
    return finite(x, *sum / static_cast<double>(count));
  } else {
    return finite(x, 1 / static_cast<double>(count), sum);
  }
}

/// @throws shape_error unless student and teacher have equally many columns.
template <class T, class Memory>
void check_widths(const batch<T, Memory>& x, const char* loss) {
  if (x.student.classes != x.teacher.classes)
    raise<shape_error>("limbeck: student has " + std::to_string(x.student.classes) + " columns and teacher " +
                       std::to_string(x.teacher.classes) + ", but " + loss +
                       " needs as many of both; project the student: projected(p, ...)");
}

/// The batch with its sides exchanged, so that the teacher is what learns.
template <class T, class Memory>
batch<T, Memory> exchanged(const batch<T, Memory>& x) {
  batch<T, Memory> y = x;
  std::swap(y.student, y.teacher);
  std::swap(y.student_temperature, y.teacher_temperature);
  y.gradient = x.teacher_gradient;
  y.teacher_gradient = {};
  return y;
}
/// @p value of @p x. Where the teacher's gradient is wanted too, @p loss, which is the same with the sides exchanged, adds it.
template <class Loss, class T, class Memory>
batch_number<Memory> with_teacher(const Loss& loss, const batch<T, Memory>& x, const batch_number<Memory>& value) {
  if (x.wants_teacher_gradient()) loss(exchanged(x));
  return value;
}

/// Columns of each of the @p channels of @p argument.
inline std::size_t positions_of(std::size_t columns, std::size_t channels, const char* argument) {
  if (channels == 0 || columns % channels != 0)
    raise<shape_error>(std::string("limbeck: ") + argument + " has " + std::to_string(columns) +
                       " columns, which are no whole number of positions in " + std::to_string(channels) + " channels");
  return columns / channels;
}

/// The sum of body(r) over all rows, in the order of rows whoever computes them: for losses of the host.
template <class T, class Body>
double sum_rows(const batch<T>& x, const Body& body) {
  const std::span<double> values = x.memory.template take<double>(x.samples());
  x.on(x.samples(), [&](std::size_t r, std::size_t worker) { values[r] = body(r, worker); });
  double total = 0;
  for (const double v : values) total += v;
  return total;
}

/// What row r counts for in a loss that is `by_row`: its weight, over what the sum is divided by.
struct row_shares {
  any_vector weights;
  double each;
  LIMBECK_HOST_DEVICE double operator()(std::size_t r) const { return weights.data() ? each * weights.number(r) : each; }
};
template <class T, class Memory>
row_shares shares_of(const batch<T, Memory>& x) {
  return {x.weights, 1 / x.total()};
}

template <class T, class Memory>
rows<T> take_matrix(const batch<T, Memory>& x, std::size_t n, std::size_t m) {
  return {x.memory.template take<T>(n * m).data(), n, m};
}

template <class T>
struct turn_row {
  rows<const T> from;
  rows<T> to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    for_own<T>(team, to.classes, [&](std::size_t c) { to(r, c) = from(c, r); });
  }
};
template <class T>
struct add_turned_row {
  rows<const T> from;
  rows<T> to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    for_own<T>(team, to.classes, [&](std::size_t c) { to(r, c) += from(c, r); });
  }
};
/// f(a, b) of each number a of @p to and its own b of @p from, which lies turned: tile by tile through a copy, so that each cache
/// line is asked for once, whatever the strides.
template <class T, class F>
void for_turned(const batch<T>& x, const rows<const T>& from, const rows<T>& to, const F& f) {
  constexpr std::size_t tile = 16;
  x.on((to.samples + tile - 1) / tile, [&](std::size_t block, std::size_t) {
    const std::size_t top = block * tile, n = (std::min)(tile, to.samples - top);
    T copy[tile][tile];
    for (std::size_t left = 0; left < to.classes; left += tile) {
      const std::size_t m = (std::min)(tile, to.classes - left);
      for (std::size_t c = 0; c < m; ++c)
        for (std::size_t r = 0; r < n; ++r) copy[c][r] = from(left + c, top + r);
      for (std::size_t r = 0; r < n; ++r)
        for (std::size_t c = 0; c < m; ++c) f(to(top + r, left + c), copy[c][r]);
    }
  });
}
/// @p to = @p from, turned.
template <class T, class Memory>
void turn(const batch<T, Memory>& x, const rows<const T>& from, const rows<T>& to) {
  if constexpr (batch<T, Memory>::on_host) {
    for_turned(x, from, to, [](T& a, T b) { a = b; });
  } else {
    x.each_row(to.samples, to.classes, turn_row<T>{from, to});
  }
}
/// @p to += @p from, turned.
template <class T, class Memory>
void add_turned(const batch<T, Memory>& x, const rows<const T>& from, const rows<T>& to) {
  if constexpr (batch<T, Memory>::on_host) {
    for_turned(x, from, to, [](T& a, T b) { a += b; });
  } else {
    x.each_row(to.samples, to.classes, add_turned_row<T>{from, to});
  }
}
/// @p side itself where its rows are contiguous, else a copy that is.
template <class T, class Memory>
rows<const T> contiguous(const batch<T, Memory>& x, const rows<const T>& side) {
  if (side.class_stride == 1) return side;
  const rows<T> copy = take_matrix(x, side.samples, side.classes);
  turn(x, side.transposed(), copy);
  return copy;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
