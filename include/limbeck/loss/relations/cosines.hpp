#ifndef LIMBECK_LOSS_RELATIONS_COSINES_HPP
#define LIMBECK_LOSS_RELATIONS_COSINES_HPP

/// @file
/// The cosines of all pairs of a student's row and a teacher's, and the way back to both.

#include <limbeck/loss/relations/gram.hpp>

#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The rows of both sides divided by their norms, and factor times their inner products.
template <class T>
struct cosines_between {
  rows<T> s, t;
  T *norms, *others;
  T factor;
  rows<T> products;  ///< samples x samples
};

/// @throws shape_error where the widths differ.
template <class T, class Memory>
cosines_between<T> cosines_of(const batch<T, Memory>& x, T factor, const char* name) {
  check_widths(x, name);
  const std::size_t n = x.samples(), width = x.student.classes;
  const auto take = [&] { return x.memory.template take<T>(n).data(); };
  const cosines_between<T> c{take_matrix(x, n, width), take_matrix(x, n, width), take(), take(), factor, take_matrix(x, n, n)};
  x.each_row(n, width, unit_row<T>{x.student, c.s, c.norms});
  x.each_row(n, width, unit_row<T>{x.teacher, c.t, c.others});
  x.multiply(factor, c.s, rows<const T>(c.t).transposed(), T(0), c.products);
  return c;
}

/// Adds to both gradients, where they are wanted, @p scale times what the slopes by the products, which stand in their place,
/// make of the rows.
template <class T, class Memory>
void pull_back_cosines(const batch<T, Memory>& x, const cosines_between<T>& c, double scale) {
  const std::size_t n = x.samples(), width = x.student.classes;
  const T factor = static_cast<T>(scale * static_cast<double>(x.scale) * static_cast<double>(c.factor));
  const auto back = [&](const rows<const T>& slopes, const rows<T>& own, const T* norms, const rows<T>& other, const rows<T>& gradient) {
    const rows<T> by_unit = take_matrix(x, n, width);
    x.multiply(factor, slopes, other, T(0), by_unit);
    x.each_row(n, width, pull_back_unit_row<T>{own, norms, by_unit, gradient});
  };
  if (x.wants_gradient()) back(c.products, c.s, c.norms, c.t, x.gradient);
  if (x.wants_teacher_gradient()) back(rows<const T>(c.products).transposed(), c.t, c.others, c.s, x.teacher_gradient);
}

/// @throws value_error unless @p temperature is positive.
inline void check_temperature(double temperature, const char* name) {
  if (!(temperature > 0))
    raise<value_error>(std::string("limbeck: ") + name + ".temperature is " + show(temperature) +
                       ", expected a positive number");
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
