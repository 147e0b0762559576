#ifndef LIMBECK_MAP_COLUMNS_HPP
#define LIMBECK_MAP_COLUMNS_HPP

/// @file
/// Maps of single columns: some of them, each times a number, their sizes, all as they are.

#include <limbeck/core/lifetime.hpp>
#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

/// y = x: what stands in a chain and does nothing. A map of rows.
struct identity {
  using limbeck_map = map_of_rows;
  std::size_t outputs(std::size_t inputs) const { return inputs; }  ///< as many
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    detail::for_own<T>(team, x.size(), [&](std::size_t c) { y[c] = x[c]; });
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> x, std::span<const T>, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    detail::for_own<T>(team, x.size(), [&](std::size_t c) { x_gradient[c] += slope[c]; });
  }
};

/// y = |x|, whose derivative at 0 is 0. A map of rows.
struct absolute {
  using limbeck_map = map_of_rows;
  std::size_t outputs(std::size_t inputs) const { return inputs; }  ///< as many
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    detail::for_own<T>(team, x.size(), [&](std::size_t c) { y[c] = x[c] < T(0) ? -x[c] : x[c]; });
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> x, std::span<const T>, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    detail::for_own<T>(team, x.size(), [&](std::size_t c) {
      if (x[c] != T(0)) x_gradient[c] += x[c] < T(0) ? -slope[c] : slope[c];
    });
  }
};

/// What `columns` returns.
struct column_range {
  using limbeck_map = map_of_rows;
  std::size_t first;  ///< number of the first column
  std::size_t count;  ///< how many
  /// `count`. @throws shape_error where there are not so many.
  std::size_t outputs(std::size_t inputs) const {
    if (first > inputs || count > inputs - first)
      raise<shape_error>("limbeck: columns(" + std::to_string(first) + ", " + std::to_string(count) + ") is given rows of " +
                         std::to_string(inputs) + " columns");
    return count;
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    detail::for_own<T>(team, y.size(), [&](std::size_t c) { y[c] = x[first + c]; });
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T>, std::span<const T>, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    detail::for_own<T>(team, slope.size(), [&](std::size_t c) { x_gradient[first + c] += slope[c]; });
  }
};
/// Columns @p first to @p first + @p count: a head of several, the class token of a sequence. A map of rows.
constexpr column_range columns(std::size_t first, std::size_t count) { return {first, count}; }

namespace detail {

template <class T, class E>
struct times_row {
  const E* mask;
  std::ptrdiff_t stride;
  rows<const T> x;
  rows<T> y;
  bool add;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const T* const from = x.row(r);
    T* const to = y.row(r);
    for_own<T>(team, x.classes, [&](std::size_t c) {
      const T v = from[c] * static_cast<T>(mask[static_cast<std::ptrdiff_t>(c) * stride]);
      to[c] = add ? to[c] + v : v;
    });
  }
};

}  // namespace detail

/// What `times` returns. @p Where is the memory of the numbers.
template <class E, class Where>
struct times_map {
  using limbeck_map = map_of_batch;
  using memory = Where;  ///< of the numbers
  static constexpr bool keeps_rows = true;
  const E* mask;          ///< one a column
  std::size_t size;       ///< how many
  std::ptrdiff_t stride;  ///< between them

  /// As many columns as there are numbers. @throws shape_error where the rows have others.
  map_shape shape(map_shape in) const {
    detail::require_columns("times(mask)", in.columns, size);
    return in;
  }
  template <class T, class Memory>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    static_assert(std::is_same_v<Memory, Where>, "limbeck: the mask of times(mask) and the features live in different memory");
    in.each_row(x.samples, x.classes, detail::times_row<T, E>{mask, stride, x, y, false});
  }
  template <class T, class Memory>
  void pull_back(const rows<const T>& x, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>&) const {
    if (x_gradient.data) in.each_row(x.samples, x.classes, detail::times_row<T, E>{mask, stride, slope, x_gradient, true});
  }
};
/// y_c = mask_c x_c: columns left out by a 0, weighed by another number. @p mask is a vector of any arithmetic type, of the memory
/// in which the features live, with a number for each column; it is referred to, so that its numbers may change between calls.
template <class V>
auto times(V&& mask) {
  detail::require_kept<V>();
  const auto memory = detail::vector_memory(mask);
  using E = std::remove_const_t<std::remove_reference_t<decltype(*memory.data)>>;
  return times_map<E, detail::vector_memory_t<V>>{memory.data, memory.size, memory.stride};
}

LIMBECK_END_NAMESPACE

#endif
