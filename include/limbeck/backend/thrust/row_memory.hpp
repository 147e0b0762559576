#ifndef LIMBECK_BACKEND_THRUST_ROW_MEMORY_HPP
#define LIMBECK_BACKEND_THRUST_ROW_MEMORY_HPP

/// @file
/// How a device reads and writes a row: 16 bytes a thread, of whatever type, once.
///
/// A team brings its row into memory of its own (a block's shared memory, where it has room) and takes all steps there. Of rows that
/// begin at 16 bytes a thread brings the classes that it takes in every step, so that nobody waits for another; of others,
/// neighbours bring neighbours, and all wait once. Where there is no room, the steps read the tensors again.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/core/team.hpp>
#include <limbeck/engine/row.hpp>

#include <cstdint>
#include <limits>

#if LIMBECK_ON_CUDA
#include <cuda_pipeline_primitives.h>
#endif

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// One class of one row, in registers.
template <class T>
struct device_position {
  using X = pack<scalar_lanes<T>>;
  static constexpr T nothing = -std::numeric_limits<T>::infinity();
  T student, teacher, soft;
  T rank;         // among the teacher's classes, where a domain asks for it
  bool in_mask;   // of the domain `masked`
  bool is_label;
  bool within;    // not padding
  std::size_t class_count;

  template <class Who, class Domain>
  LIMBECK_INLINE X raw_logit() const {
    bool outside = !within;
    if constexpr (std::is_same_v<Domain, masked>) outside = outside || !in_mask;
    if constexpr (std::is_same_v<Domain, non_target>) outside = outside || is_label;
    const T x = outside ? nothing : std::is_same_v<Who, student_side> ? student : teacher;
    if constexpr (top_in<Domain>::inside || top_in<Domain>::below) {  // added, so that NaN is seen wherever it stands
      return X(x + (in_top<top_in<Domain>::size>() == top_in<Domain>::inside ? T(0) : nothing));
    } else {
      return X(x);
    }
  }
  /// Whether the class is among the K highest of the teacher.
  template <std::size_t K>
  LIMBECK_INLINE bool in_top() const {
    return rank < static_cast<T>(K);
  }
  LIMBECK_INLINE X soft_label() const { return X(soft); }
  LIMBECK_INLINE X inside(const X& x) const { return within ? x : X(T(0)); }
  template <class Y>
  LIMBECK_INLINE Y classes() const {
    return Y(static_cast<T>(class_count));
  }
};

/// What one thread reads at once.
template <class T, std::size_t W>
struct alignas(W * sizeof(T)) device_block_of {
  T v[W];
};

/// Whether rows of @p x can be read as many elements at a time as 16 bytes of T hold.
template <class T, class E>
bool loads_whole(const stored_rows<E>& x) {
  const std::size_t bytes = 16 / sizeof(T) * size_of(x.type);
  return x.block == 0 && x.class_stride == 1 && reinterpret_cast<std::uintptr_t>(x.data) % bytes == 0 &&
         x.sample_stride * static_cast<std::ptrdiff_t>(size_of(x.type)) % static_cast<std::ptrdiff_t>(bytes) == 0;
}

/// Tells a team that counts it what it has moved to or from the tensors of the call.
template <class Team>
LIMBECK_INLINE void count_bytes([[maybe_unused]] const Team& team, [[maybe_unused]] std::size_t bytes) {
  if constexpr (requires { team.moves(bytes); }) team.moves(bytes);
}

/// Classes c, c + 1, ... of row @p r. @p whole: see `loads_whole`.
template <std::size_t W, class T, class Team>
LIMBECK_DEVICE device_block_of<T, W> load_block(const Team& team, const stored_rows<const T>& x, bool whole, std::size_t r,
                                                std::size_t c) {
  count_bytes(team, (c + W <= x.classes ? W : x.classes - c) * size_of(x.type));
  device_block_of<T, W> b;
  if constexpr (W > 1) {
    if (whole && c + W <= x.classes) {
      if (x.native()) return *reinterpret_cast<const device_block_of<T, W>*>(x.row(r) + c);
      if (size_of(x.type) == 2) {
        using bits = device_block_of<std::uint16_t, W>;
        const auto b16 = *reinterpret_cast<const bits*>(static_cast<const std::uint16_t*>(x.data) +
                                                        static_cast<std::ptrdiff_t>(r) * x.sample_stride + c);
        const bool half = x.type == element_type::float16;
        for (std::size_t j = 0; j < W; ++j)
          b.v[j] = static_cast<T>(half ? from_half(b16.v[j]) : from_bfloat16(b16.v[j]));
        return b;
      }
    }
  }
  for (std::size_t j = 0; j < W; ++j) b.v[j] = c + j < x.classes ? x(r, c + j) : T(0);
  return b;
}
/// The same, to be written; rounded to the type in memory.
template <std::size_t W, class T, class Team>
LIMBECK_DEVICE void store_block(const Team& team, const stored_rows<T>& x, bool whole, std::size_t r, std::size_t c,
                                const device_block_of<T, W>& b) {
  count_bytes(team, (c + W <= x.classes ? W : x.classes - c) * size_of(x.type));
  if constexpr (W > 1) {
    if (whole && c + W <= x.classes) {
      if (x.native()) {
        *reinterpret_cast<device_block_of<T, W>*>(x.row(r) + c) = b;
        return;
      }
      if (size_of(x.type) == 2) {
        using bits = device_block_of<std::uint16_t, W>;
        bits b16;
        const bool half = x.type == element_type::float16;
        for (std::size_t j = 0; j < W; ++j)
          b16.v[j] = half ? to_half(static_cast<float>(b.v[j])) : to_bfloat16(static_cast<float>(b.v[j]));
        *reinterpret_cast<bits*>(static_cast<std::uint16_t*>(x.data) + static_cast<std::ptrdiff_t>(r) * x.sample_stride + c) = b16;
        return;
      }
    }
  }
  for (std::size_t j = 0; j < W; ++j)
    if (c + j < x.classes) x.put(r, c + j, b.v[j]);
}

/// Row @p r from a tensor into the team's memory, where classes up to a whole load are 0. Where it cannot be read by whole
/// loads, a thread brings what others own: the team waits before it reads.
template <class T, class Team>
LIMBECK_DEVICE void bring_row(const Team& team, const stored_rows<const T>& x, bool whole, std::size_t r, T* to) {
  constexpr std::size_t W = Team::template width<T>;
  using block = device_block_of<T, W>;
  if (whole || Team::alone) {
    const own_elements own = own_of<T>(team, x.classes);
    for (std::size_t c = own.first; c < own.last; c += own.step) {
#if defined(__CUDA_ARCH__)
      if (x.native() && c + W <= x.classes && __isShared(to + c)) {  // all of a thread's loads are under way at once
        __pipeline_memcpy_async(to + c, x.row(r) + c, sizeof(block));
        continue;
      }
#endif
      *reinterpret_cast<block*>(to + c) = load_block<W>(team, x, whole, r, c);
    }
  } else {
    const own_elements mine = neighbours_of(team, (x.classes + W - 1) / W * W);
    for (std::size_t c = mine.first; c < mine.last; c += mine.step) {
#if defined(__CUDA_ARCH__)
      if (x.native() && c < x.classes && __isShared(to + c)) {
        __pipeline_memcpy_async(to + c, x.row(r) + static_cast<std::ptrdiff_t>(c) * x.class_stride, sizeof(T));
        continue;
      }
#endif
      if (c < x.classes) count_bytes(team, size_of(x.type));
      to[c] = c < x.classes ? x(r, c) : T(0);
    }
  }
}
/// What was brought is there.
LIMBECK_DEVICE inline void wait_for_rows() {
#if defined(__CUDA_ARCH__)
  __pipeline_commit();
  __pipeline_wait_prior(0);
#endif
}

/// Where a row of one team is: rows of its own memory, and where a pointer is null, the tensors of the call.
template <class T>
struct team_rows {
  T *student = nullptr, *teacher = nullptr, *soft = nullptr, *gradient = nullptr, *ranks = nullptr, *scratch = nullptr;
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
