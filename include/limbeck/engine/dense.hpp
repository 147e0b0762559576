#ifndef LIMBECK_ENGINE_DENSE_HPP
#define LIMBECK_ENGINE_DENSE_HPP

/// @file
/// Limbeck's own matrix product, for memory whose backend brings none: blocked, from packed panels, any strides.
///
/// A tile of c stands in registers while a panel of a and a panel of b run past. Each number of c is a sum over the
/// inner dimension in one order, whatever tile it falls in: the same bits for any number of workers and in any place
/// of the matrix, so equal rows have equal products.

#include <limbeck/core/executor.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/engine/pack.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// The dense primitives that a backend supplies through its own library; all else is written over rows. A backend with
/// memory of its own specialises it.
template <class T, class Memory = host_rows>
struct dense_primitives {
  /// c = alpha a b + beta c, a of n x k, b of k x m, any strides; with beta = 0, c is not read. c overlaps neither.
  void (*multiply)(T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c, scratch& memory,
                   const executor_ref& on);
};

namespace detail {

/// Limbeck's own products, over packs.
template <class T, class Isa>
struct packed {
  using K = host_lanes<T, Isa>;
  using storage = typename K::storage;
  static constexpr std::size_t lanes = static_cast<std::size_t>(K::count);
  /// A tile: as many sums as leave registers for the operands (32 of them with AVX-512, else 16).
  static constexpr std::size_t tile_rows = Isa::register_bytes == 64 ? 12 : Isa::register_bytes == 32 ? 6 : 4;
  static constexpr std::size_t tile_columns = 2 * lanes;
  static constexpr std::size_t depth = 256;               ///< a panel of a (12 KiB) stays in the first cache
  static constexpr std::size_t width = 2048 / sizeof(T);  ///< `depth` rows of b as wide as this, in the second
  static constexpr std::size_t panels_a_task = 2;

  /// See dense_primitives::multiply.
  static void multiply(T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c,
                       scratch& memory, const executor_ref& on) {
    if (c.samples == 0 || c.classes == 0) return;
    if (c.class_stride != 1 && c.sample_stride == 1)  // c^T = b^T a^T has contiguous rows
      return multiply(alpha, b.transposed(), a.transposed(), beta, c.transposed(), memory, on);
    const std::size_t n = c.samples, m = c.classes, inner = a.classes;
    const std::size_t panels = (n + tile_rows - 1) / tile_rows, tasks = (panels + panels_a_task - 1) / panels_a_task;
    const std::size_t shares = on.workers() == 1 ? 1 : (4 * on.workers() + tasks - 1) / tasks;  // of a panel, where panels are few
    const std::size_t deepest = (std::min)(inner, depth), widest = (std::min)(m, width);
    T* const packed_b =
        memory.template take<T>(deepest * ((widest + tile_columns - 1) / tile_columns * tile_columns)).data();
    const std::size_t panel_size = deepest * tile_rows + lanes;  // a column that is turned is a pack
    T* const packed_a = memory.template take<T>(on.workers() * panel_size).data();
    for (std::size_t left = 0; left < m; left += width) {
      const std::size_t wide = (std::min)(width, m - left), strips = (wide + tile_columns - 1) / tile_columns;
      std::size_t k = 0;
      do {  // at least once: with nothing to sum, c is beta c
        const std::size_t deep = (std::min)(depth, inner - k);
        on(strips, [&](std::size_t s, std::size_t) {
          Isa::call([&]() LIMBECK_LAMBDA_INLINE {
            gather<tile_columns>(b.transposed(), left + s * tile_columns, k, deep, packed_b + s * deep * tile_columns);
          });
        });
        on(tasks * shares, [&](std::size_t index, std::size_t worker) {
          const std::size_t task = index / shares, share = index % shares;
          T* const panel = packed_a + worker * panel_size;
          Isa::call([&]() LIMBECK_LAMBDA_INLINE {
            for (std::size_t p = task * panels_a_task; p < (std::min)(panels, (task + 1) * panels_a_task); ++p) {
              gather<tile_rows>(a, p * tile_rows, k, deep, panel);
              for (std::size_t s = strips * share / shares; s < strips * (share + 1) / shares; ++s)
                tile(deep, panel, packed_b + s * deep * tile_columns, alpha, k == 0 ? beta : T(1), c, p * tile_rows,
                     left + s * tile_columns);
            }
          });
        });
        k += deep;
      } while (k < inner);
    }
  }

 private:
  /// Rows first, first + 1, ... of @p x side by side, zeros where there are none left.
  template <std::size_t Rows>
  LIMBECK_HOST_INLINE static void gather(const rows<const T>& x, std::size_t first, std::size_t from, std::size_t deep, T* panel) {
    const std::size_t there = (std::min)(Rows, x.samples - first);
    if (there == Rows && x.sample_stride == 1) {
      for (std::size_t k = 0; k < deep; ++k) {
        const T* const in = &x(first, from + k);
        for (std::size_t i = 0; i < Rows; ++i) panel[k * Rows + i] = in[i];
      }
      return;
    }
    std::size_t k = 0;
#if !defined(__CUDACC__)  // nvcc cannot hand __builtin_shufflevector of a pack to the host's compiler
    if (there == Rows && x.class_stride == 1)
      for (; k + lanes <= deep; k += lanes) {
        constexpr std::size_t whole = Rows / lanes * lanes;
        if constexpr (whole < Rows) turn<Rows - whole>(x, first + whole, from + k, panel + k * Rows + whole, Rows);
        for (std::size_t i = 0; i < whole; i += lanes) turn<lanes>(x, first + i, from + k, panel + k * Rows + i, Rows);
      }
#endif
    for (; k < deep; ++k)
      for (std::size_t i = 0; i < Rows; ++i) panel[k * Rows + i] = i < there ? x(first + i, from + k) : T(0);
  }
#if !defined(__CUDACC__)
  /// A square of as many columns as a pack has lanes, of which @p Rows rows are there, on its side: each column goes to @p to,
  /// @p apart numbers after the one before. Of a column shorter than a pack the rest is written too; what
  /// comes later overwrites it.
  template <std::size_t Rows>
  LIMBECK_HOST_INLINE static void turn(const rows<const T>& x, std::size_t row, std::size_t column, T* to, std::size_t apart) {
    storage line[lanes];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < Rows; ++i) line[i] = K::load(x.row(row + i) + column);
#pragma GCC unroll 16
    for (std::size_t i = Rows; i < lanes; ++i) line[i] = K::broadcast(T(0));
#pragma GCC unroll 16
    for (std::size_t done = 1; done < lanes; done *= 2) {
      storage next[lanes];
#pragma GCC unroll 16
      for (std::size_t i = 0; i < lanes / 2; ++i) interleave(line[i], line[i + lanes / 2], next[2 * i], next[2 * i + 1]);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < lanes; ++i) line[i] = next[i];
    }
#pragma GCC unroll 16
    for (std::size_t k = 0; k < lanes; ++k) K::store(to + k * apart, line[k]);
  }
  LIMBECK_HOST_INLINE static void interleave(const storage& a, const storage& b, storage& low, storage& high) {
    [&]<int... At>(std::integer_sequence<int, At...>) LIMBECK_LAMBDA_INLINE {
      constexpr int n = static_cast<int>(lanes);
      low = {__builtin_shufflevector(a.v, b.v, (At / 2 + At % 2 * n)...)};
      high = {__builtin_shufflevector(a.v, b.v, (n / 2 + At / 2 + At % 2 * n)...)};
    }(std::make_integer_sequence<int, static_cast<int>(lanes)>{});
  }
#endif

  /// c = alpha a b + beta c for one tile.
  LIMBECK_HOST_INLINE static void tile(std::size_t deep, const T* a, const T* b, T alpha, T beta, const rows<T>& c, std::size_t row,
                   std::size_t column) {
    storage low[tile_rows], high[tile_rows];
    // a function of its own: with the numbers of the callers in registers, g++ finds one too few for the sums
    Isa::call([&]() LIMBECK_LAMBDA_INLINE { sums(deep, a, b, low, high, std::make_index_sequence<tile_rows>{}); });
    const std::size_t down = (std::min)(std::size_t{tile_rows}, c.samples - row),
                      across = (std::min)(std::size_t{tile_columns}, c.classes - column);
    for (std::size_t i = 0; i < down; ++i) {
      alignas(64) T line[tile_columns];
      K::store(line, low[i]);
      K::store(line + lanes, high[i]);
      T* const out = &c(row + i, column);
      if (c.class_stride == 1 && across == tile_columns) {
        if (beta == T(0)) {
          for (std::size_t j = 0; j < tile_columns; ++j) out[j] = alpha * line[j];
        } else {
          for (std::size_t j = 0; j < tile_columns; ++j) out[j] = beta * out[j] + alpha * line[j];
        }
      } else {
        for (std::size_t j = 0; j < across; ++j) {
          T& to = out[static_cast<std::ptrdiff_t>(j) * c.class_stride];
          to = beta == T(0) ? alpha * line[j] : beta * to + alpha * line[j];
        }
      }
    }
  }
  template <std::size_t... At>
  LIMBECK_HOST_INLINE static void sums(std::size_t deep, const T* a, const T* b, storage* low, storage* high,
                                  std::index_sequence<At...>) {
    storage l[tile_rows], h[tile_rows];
    ((l[At] = K::broadcast(T(0)), h[At] = K::broadcast(T(0))), ...);
    for (std::size_t k = 0; k < deep; ++k, a += tile_rows, b += tile_columns) {
      const storage first = K::load(b), second = K::load(b + lanes);
      ((l[At] += a[At] * first, h[At] += a[At] * second), ...);
    }
    ((low[At] = l[At], high[At] = h[At]), ...);
  }
};

template <class T>
const dense_primitives<T>& dense_of() {
  return dispatch([]<class Isa>(Isa) -> const dense_primitives<T>& {
    static constexpr dense_primitives<T> table{&packed<T, Isa>::multiply};
    return table;
  });
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
