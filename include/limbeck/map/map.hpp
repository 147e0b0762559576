#ifndef LIMBECK_MAP_MAP_HPP
#define LIMBECK_MAP_MAP_HPP

/// @file
/// What a map is: rows to rows before a loss, with a way back for the gradient.
///
/// A map of rows is a function of one row, computed by the team of threads that shares it (core/team.hpp):
///
///     using limbeck_map = map_of_rows;
///     std::size_t outputs(std::size_t inputs) const;  // columns; shape_error where it cannot take so many
///     template <class Team, class T>
///     LIMBECK_HOST_DEVICE void apply(const Team&, std::span<const T> x, std::span<T> y) const;
///     template <class Team, class T>  // adds J^T slope to x_gradient; slope is scratch from then on
///     LIMBECK_HOST_DEVICE void pull_back(const Team&, std::span<const T> x, std::span<const T> y, std::span<T> slope,
///                                        std::span<T> x_gradient) const;
///
/// A map of a batch is anything that needs several rows, or products, over `each_row` and `multiply`:
///
///     using limbeck_map = map_of_batch;
///     map_shape shape(map_shape in) const;
///     template <class T, class Memory>
///     void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const;
///     template <class T, class Memory>  // x_gradient has no data where only what the map learns wants its gradient
///     void pull_back(const rows<const T>& x, const rows<const T>& y, const rows<T>& slope, const rows<T>& x_gradient,
///                    const batch<T, Memory>& in, const batch_number<Memory>& loss) const;
///
/// Columns of all of these stand side by side. @p in lends its memory, its threads and its products; its own rows are not
/// those of the map. One that refers to memory names it by `using memory = ...`, and one whose row r is made of row r says
/// `static constexpr bool keeps_rows = true`, so that the weights of a call are those of its rows. Where row r is made of the others, too, as by
/// `unit_range`, `static constexpr bool relates_rows = true` refuses micro-batches. @p loss is what the slope is of: on a
/// device, nothing is added to what is learned unless it is finite. A map that learns has `visit_learned` and `scalar`, as a loss has. What holds a map copies it; one that owns much, as a `projection`,
/// has `as_map()`, a map that refers to it.

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/plan.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// Names a map of one row.
struct map_of_rows {};
/// Names a map of several rows at once.
struct map_of_batch {};

/// How many rows of how many columns a map takes or gives.
struct map_shape {
  std::size_t samples;  ///< rows
  std::size_t columns;  ///< of each
};

/// A map with a way back.
template <class M>
concept feature_map = std::same_as<typename M::limbeck_map, map_of_rows> || std::same_as<typename M::limbeck_map, map_of_batch>;

namespace detail {

template <class M>
inline constexpr bool is_map_of_rows = std::is_same_v<typename M::limbeck_map, map_of_rows>;

/// Whether row r of what a map gives is made of row r: of a map of a batch that says so.
template <class M>
inline constexpr bool keeps_rows = is_map_of_rows<M>;
template <class M>
  requires requires { M::keeps_rows; }
inline constexpr bool keeps_rows<M> = M::keeps_rows;

/// @p m itself, or what refers to it.
template <class M>
auto as_map(M&& m) {
  using Bare = std::remove_cvref_t<M>;
  if constexpr (feature_map<Bare>) {
    return Bare(m);
  } else {
    constexpr bool refers = std::is_lvalue_reference_v<M> && requires { m.as_map(); };
    static_assert(refers, "limbeck: a map has limbeck_map, as unit_rows has; a projection is one where it has a name and is not "
                          "const, and frozen(p) where it stays as it is");
    if constexpr (refers) return m.as_map();
  }
}
/// The map that stands for an M.
template <class M>
using map_type = decltype(as_map(std::declval<M>()));

template <class T, class M>
struct apply_to_row {
  M map;
  rows<const T> x;
  rows<T> y;
  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    map.apply(team, std::span<const T>(x.row(r), x.classes), std::span<T>(y.row(r), y.classes));
  }
};
template <class T, class M>
struct pull_back_row {
  M map;
  rows<const T> x, y;
  rows<T> slope, x_gradient;
  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    map.pull_back(team, std::span<const T>(x.row(r), x.classes), std::span<const T>(y.row(r), y.classes),
                  std::span<T>(slope.row(r), slope.classes), std::span<T>(x_gradient.row(r), x_gradient.classes));
  }
};

template <class T>
struct zero_row {
  rows<T> x;  // contiguous
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    T* const row = x.row(r);
    for_own<T>(team, x.classes, [&](std::size_t c) { row[c] = T(0); });
  }
};
/// @p n rows of @p m zeros, for as long as the call runs.
template <class T, class Memory>
rows<T> take_zeros(const batch<T, Memory>& in, std::size_t n, std::size_t m) {
  const rows<T> all(in.memory.template take<T>(n * m).data(), n, m);
  in.each_row(n, m, zero_row<T>{all});
  return all;
}

/// @throws shape_error: map @p name takes @p expected columns, and @p columns are there.
inline void require_columns(const char* name, std::size_t columns, std::size_t expected) {
  if (columns != expected)
    raise<shape_error>(std::string("limbeck: ") + name + " is given rows of " + std::to_string(columns) + " columns, expected " +
                       std::to_string(expected));
}

/// The nested `scalar` of a map made of others: that of what they learn, where they do.
template <class... M>
struct scalar_of_maps {};
template <class M, class... Rest>
struct scalar_of_maps<M, Rest...> : scalar_of_maps<Rest...> {};
template <class M, class... Rest>
  requires requires { typename M::scalar; }
struct scalar_of_maps<M, Rest...> {
  using scalar = typename M::scalar;
};
/// And `memory`, in which that lives which a map refers to.
template <class... M>
struct memory_of_maps {};
template <class M, class... Rest>
struct memory_of_maps<M, Rest...> : memory_of_maps<Rest...> {};
template <class M, class... Rest>
  requires requires { typename M::memory; }
struct memory_of_maps<M, Rest...> {
  using memory = typename M::memory;
  template <class Other>
  static constexpr bool agrees() {
    if constexpr (requires { typename Other::memory; }) return std::is_same_v<memory, typename Other::memory>;
    return true;
  }
  static_assert((agrees<Rest>() && ...), "limbeck: two maps refer to different memory (host and device)");
};
template <class M, class F>
void visit_learned_of(const M& m, const F& f) {
  if constexpr (requires { m.visit_learned(f); }) m.visit_learned(f);
}

/// What @p m makes of rows of shape @p in.
template <feature_map M>
map_shape shape_of(const M& m, map_shape in) {
  if constexpr (is_map_of_rows<M>) {
    return {in.samples, m.outputs(in.columns)};
  } else {
    return m.shape(in);
  }
}
/// y = m(x); y has the shape that shape_of gives. The memory and the threads are those of @p in.
template <feature_map M, class T, class Memory>
void apply_map(const M& m, const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) {
  if constexpr (is_map_of_rows<M>) {
    in.each_row(x.samples, (std::max)(x.classes, y.classes), apply_to_row<T, M>{m, x, y});
  } else {
    m.apply(x, y, in);
  }
}
/// Adds J^T slope to @p x_gradient, where that has data, and to what @p m learns. @p slope is scratch from then on.
template <feature_map M, class T, class Memory>
void pull_back_map(const M& m, const rows<const T>& x, const rows<const T>& y, const rows<T>& slope, const rows<T>& x_gradient,
                   const batch<T, Memory>& in, const batch_number<Memory>& loss) {
  if constexpr (!is_map_of_rows<M>) {
    m.pull_back(x, y, slope, x_gradient, in, loss);
  } else if (x_gradient.data) {
    in.each_row(x.samples, (std::max)(x.classes, y.classes), pull_back_row<T, M>{m, x, y, slope, x_gradient});
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
