#ifndef LIMBECK_SELECTION_POOL_ROWS_HPP
#define LIMBECK_SELECTION_POOL_ROWS_HPP

/// @file
/// A pool row by row, read in blocks; a row's probabilities.

#include <limbeck/core/softmax.hpp>
#include <limbeck/selection/query.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Rows that are read at once: 64 Ki numbers, at least one row.
inline std::size_t rows_of_block(std::size_t size, std::size_t columns) {
  if (columns == 0) raise<shape_error>("limbeck: the pool has no columns");
  return (std::max)(std::size_t{1}, (std::min)(size, std::size_t{65536} / columns));
}

/// `f(row, numbers)` for every row of @p p, in order.
template <class Reader, class F>
void for_each_row(const Reader& p, F&& f) {
  const auto size = static_cast<std::size_t>(p.size()), columns = static_cast<std::size_t>(p.columns());
  const std::size_t block = rows_of_block(size, columns);
  std::vector<typename Reader::scalar> buffer(block * columns);
  for (std::size_t first = 0; first < size; first += block) {
    const std::size_t count = (std::min)(block, size - first);
    p.read(first, count, buffer.data());
    for (std::size_t r = 0; r < count; ++r) f(first + r, buffer.data() + r * columns);
  }
}

/// The place of the largest of @p columns numbers, the lowest among equals. @throws value_error where one is NaN.
template <class T>
std::size_t largest_of(const T* x, std::size_t columns, std::size_t row) {
  std::size_t best = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    if (x[c] != x[c])
      raise<value_error>("limbeck: the pool is nan at row " + std::to_string(row) + ", column " + std::to_string(c));
    if (x[c] > x[best]) best = c;
  }
  return best;
}

/// p = softmax(x), in double; returns the place of the largest. -inf has probability 0.
/// @throws value_error where a logit is NaN or +inf, or all are -inf.
template <class T>
std::size_t softmax_into(const T* x, std::span<double> p, std::size_t row) {
  const std::size_t best = largest_of(x, p.size(), row);
  const auto top = static_cast<double>(x[best]);
  if (!(top - top == 0))
    raise<value_error>("limbeck: the largest logit of row " + std::to_string(row) + " is " + show(top) +
                       ", expected a finite number");
  softmax_below(top, [x](std::size_t c) { return x[c]; }, p);
  return best;
}

/// -sum p log p, in nats.
inline double entropy_of(std::span<const double> p) {
  double total = 0;
  for (const double value : p)
    if (value > 0) total -= value * std::log(value);
  return total;
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
