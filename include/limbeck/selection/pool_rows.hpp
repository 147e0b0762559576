#ifndef LIMBECK_SELECTION_POOL_ROWS_HPP
#define LIMBECK_SELECTION_POOL_ROWS_HPP

/// @file
/// A pool row by row, read in blocks; a row's probabilities.

#include <limbeck/core/softmax.hpp>
#include <limbeck/selection/query.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Rows that are read at once: 64 Ki numbers, at least one row.
inline std::size_t rows_of_block(std::size_t size, std::size_t columns) {
  if (columns == 0) raise<shape_error>("limbeck: the pool has no columns");
  return (std::max)(std::size_t{1}, (std::min)(size, std::size_t{65536} / columns));
}

/// A call of `read` is taken to cost as much as this many rows: gaps up to it are read through.
inline constexpr std::size_t rows_read_through = 64;

/// `f(i, j)` for every run of @p rows, which ascend, that is read at once: rows[i] to rows[j - 1] with the gaps between
/// them, at most @p longest rows of the pool.
template <class F>
void for_each_run(std::span<const std::size_t> rows, std::size_t longest, F&& f) {
  for (std::size_t i = 0, j = 0; i < rows.size(); i = j) {
    for (j = i + 1; j < rows.size(); ++j)
      if (rows[j] - rows[j - 1] > rows_read_through || rows[j] - rows[i] >= longest) break;
    f(i, j);
  }
}

/// Rows @p rows of a reader, in any order, one after the other into @p out.
template <class Reader>
void read_rows(const Reader& p, std::span<const std::size_t> rows, typename Reader::scalar* out) {
  const auto columns = static_cast<std::size_t>(p.columns());
  if constexpr (in_memory<Reader>) {
    for (const std::size_t r : rows) p.read(r, 1, out), out += columns;
  } else if (std::is_sorted(rows.begin(), rows.end())) {
    std::vector<typename Reader::scalar> buffer;
    for_each_run(rows, rows_of_block(static_cast<std::size_t>(p.size()), columns), [&](std::size_t i, std::size_t j) {
      const std::size_t first = rows[i], count = rows[j - 1] - first + 1;
      std::size_t consecutive = i + 1;
      while (consecutive < j && rows[consecutive] == rows[consecutive - 1] + 1) ++consecutive;
      if (consecutive == j) {
        p.read(first, count, out + i * columns);
        return;
      }
      buffer.resize((std::max)(buffer.size(), count * columns));
      p.read(first, count, buffer.data());
      for (std::size_t k = i; k < j; ++k)
        std::copy_n(buffer.data() + (rows[k] - first) * columns, columns, out + k * columns);
    });
  } else {
    std::vector<std::size_t> order(rows.size()), sorted(rows.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return rows[i] < rows[j]; });
    for (std::size_t k = 0; k < order.size(); ++k) sorted[k] = rows[order[k]];
    std::vector<typename Reader::scalar> buffer(rows.size() * columns);
    read_rows(p, sorted, buffer.data());
    for (std::size_t k = 0; k < order.size(); ++k)
      std::copy_n(buffer.data() + k * columns, columns, out + order[k] * columns);
  }
}

}  // namespace detail

/// `f(r, row)` for every row of @p pool, a tensor or a reader, in order: @p row is a `std::span<const scalar>`, good
/// until `f` returns. Rows that lie in memory are handed on in place; others are read in blocks of 65,536 numbers, at
/// least one row. @throws shape_error where the pool has no columns.
template <class Pool, class F>
void for_each_row(const Pool& pool, F&& f) {
  const auto& reader = as_reader(pool);
  using Reader = std::remove_cvref_t<decltype(reader)>;
  using T = typename Reader::scalar;
  const auto size = static_cast<std::size_t>(reader.size()), columns = static_cast<std::size_t>(reader.columns());
  const std::size_t most = detail::rows_of_block(size, columns), block = detail::in_memory<Reader> ? 1 : most;
  std::vector<T> buffer(block * columns);
  using detail::row_of;
  for (std::size_t first = 0; first < size; first += block) {
    const std::size_t count = (std::min)(block, size - first);
    if constexpr (detail::in_memory<Reader>) {
      f(first, std::span<const T>(row_of(reader, first, buffer.data()), columns));
    } else {
      reader.read(first, count, buffer.data());
      for (std::size_t r = 0; r < count; ++r) f(first + r, std::span<const T>(buffer.data() + r * columns, columns));
    }
  }
}

/// The same for the rows @p rows of the pool, in the order in which they are named. What is not in memory is read in
/// blocks; rows up to 64 apart are read with what lies between them, for a call is taken to cost as much as 64 rows.
template <class Pool, class F>
void for_each_row(const Pool& pool, std::span<const std::size_t> rows, F&& f) {
  const auto& reader = as_reader(pool);
  using Reader = std::remove_cvref_t<decltype(reader)>;
  using T = typename Reader::scalar;
  const auto columns = static_cast<std::size_t>(reader.columns());
  const std::size_t most = detail::rows_of_block(rows.size(), columns), block = detail::in_memory<Reader> ? 1 : most;
  std::vector<T> buffer(block * columns);
  using detail::row_of;
  for (std::size_t first = 0; first < rows.size(); first += block) {
    const std::size_t count = (std::min)(block, rows.size() - first);
    if constexpr (detail::in_memory<Reader>) {
      f(rows[first], std::span<const T>(row_of(reader, rows[first], buffer.data()), columns));
    } else {
      detail::read_rows(reader, rows.subspan(first, count), buffer.data());
      for (std::size_t r = 0; r < count; ++r)
        f(rows[first + r], std::span<const T>(buffer.data() + r * columns, columns));
    }
  }
}

namespace detail {

/// The place of the largest number of a row, the lowest among equals. @throws value_error where one is NaN.
template <class T>
std::size_t largest_of(std::span<const T> x, std::size_t row) {
  std::size_t best = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    if (x[c] != x[c])
      raise<value_error>("limbeck: the pool is nan at row " + std::to_string(row) + ", column " + std::to_string(c));
    if (x[c] > x[best]) best = c;
  }
  return best;
}

/// p = softmax(x), in double; returns the place of the largest. -inf has probability 0.
/// @throws value_error where a logit is NaN or +inf, or all are -inf.
template <class T>
std::size_t softmax_into(std::span<const T> x, std::span<double> p, std::size_t row) {
  const std::size_t best = largest_of(x, row);
  const auto top = static_cast<double>(x[best]);
  if (!(top - top == 0))
    raise<value_error>("limbeck: the largest logit of row " + std::to_string(row) + " is " + show(top) +
                       ", expected a finite number");
  softmax_below(
      top, [x](std::size_t c) { return x[c]; }, p);
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
