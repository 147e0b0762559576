#ifndef LIMBECK_ENGINE_HOST_MEMORY_HPP
#define LIMBECK_ENGINE_HOST_MEMORY_HPP

/// @file
/// What the host sweep reads and writes: a position in a row, staged rows, and the first fault.

#include <limbeck/engine/statistics.hpp>
#include <limbeck/engine/stored_packs.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// One position of the host sweep: a pack of classes, with where its exponentials and its gradient are kept.
template <class Lanes>
struct host_position {
  using X = pack<Lanes>;
  using T = typename Lanes::scalar;
  const T* student;
  const T* teacher;
  const T* soft;
  const T* masked_bias;
  const T* rest_bias;
  const T* ranks;  // among the teacher's, +inf: none
  const T* inside_lanes;  // does not move: all 1, or 0 in the lanes that pad
  T* gradient;
  T* exponentials;
  std::size_t class_count;

  /// @p c classes further on.
  LIMBECK_INLINE host_position at(std::size_t c) const {
    return {student + c, teacher + c,  soft + c,     masked_bias + c,  rest_bias + c,
            ranks + c,   inside_lanes, gradient + c, exponentials + c, class_count};
  }
  template <class Who, class Domain>
  LIMBECK_INLINE X raw_logit() const {
    X x = X::from(Lanes::load(std::is_same_v<Who, student_side> ? student : teacher));
    if constexpr (std::is_same_v<Domain, masked>) x += X::from(Lanes::load(masked_bias));
    if constexpr (std::is_same_v<Domain, non_target>) x += X::from(Lanes::load(rest_bias));
    const X nothing(T(0)), out(-std::numeric_limits<T>::infinity());  // added, so that NaN is seen wherever it stands
    if constexpr (top_in<Domain>::inside) x += select(in_top<top_in<Domain>::size>(), nothing, out);
    if constexpr (top_in<Domain>::below) x += select(in_top<top_in<Domain>::size>(), out, nothing);
    return x;
  }
  /// Whether the classes are among the K highest of the teacher.
  template <std::size_t K>
  LIMBECK_INLINE auto in_top() const {
    return X::from(Lanes::load(ranks)) < X(static_cast<T>(K));
  }
  LIMBECK_INLINE X soft_label() const { return X::from(Lanes::load(soft)); }
  /// x, and 0 in the lanes that pad.
  LIMBECK_INLINE X inside(const X& x) const { return x * X::from(Lanes::load(inside_lanes)); }
  template <class Y>
  LIMBECK_INLINE Y classes() const {
    return Y(static_cast<T>(class_count));
  }
};

/// Asks for a line of memory that is read soon, or written.
template <bool Written = false>
LIMBECK_INLINE void ask_memory([[maybe_unused]] const void* at) {
#if !defined(__CUDACC__)  // nvcc has no such function where a GPU could come
  __builtin_prefetch(at, Written ? 1 : 0);
#endif
}
/// So many elements ahead, where several tensors are read and one is written at once: 4 KiB of floats.
inline constexpr std::size_t elements_ahead = 1024;

/// Rows that memory is asked for while there is something to compute: line by line, as a loop reaches their classes.
class rows_ahead {
 public:
  template <class... Rows>
  explicit rows_ahead(const Rows&... x) {
    std::size_t k = 0, widest = 1;
    const auto see = [&](const auto& rows) {
      if (!rows.data || rows.block != 0) return;
      first_.bytes[k] = size_of(rows.type);
      stride_[k] = rows.sample_stride * static_cast<std::ptrdiff_t>(first_.bytes[k]);
      first_.at[k++] = static_cast<const char*>(rows.data);
      widest = (std::max)(widest, size_of(rows.type));
    };
    (see(x), ...);
    first_.within_line = 64 / widest - 1;
  }
  /// One row of each.
  struct one_row {
    const char* at[2] = {};
    std::size_t bytes[2] = {};  // of an element
    std::size_t within_line = 0;
    LIMBECK_INLINE void prefetch(std::size_t c) const {
      if (c & within_line) return;
      if (at[0]) ask_memory(at[0] + c * bytes[0]);
      if (at[1]) ask_memory(at[1] + c * bytes[1]);
    }
  };
  LIMBECK_INLINE one_row row(std::size_t r) const {
    one_row x = first_;
    for (int k = 0; k < 2; ++k) x.at[k] = x.at[k] ? x.at[k] + static_cast<std::ptrdiff_t>(r) * stride_[k] : nullptr;
    return x;
  }

 private:
  one_row first_;
  std::ptrdiff_t stride_[2] = {};
};

/// Where the parts of a block live in a worker's scratch.
template <class T>
struct staging {
  bool student, teacher, soft, gradient;
  bool transposed, add;  ///< whether memory asks for it; whether the gradient is added to what is there
  bool narrow;           ///< whether a row of the gradient is rounded to the type in memory as soon as it is there

  /// @p whole: whether the gradient of a row takes more than one step. @p reads_teacher: whether anything looks at the teacher.
  staging(const problem<T>& in, std::size_t lanes, bool whole, bool reads_teacher) {
    const auto strided = [&](const auto& x) { return x.data && (x.class_stride != 1 || in.classes() < lanes); };
    const auto needed = [&](const auto& x) { return strided(x) || (x.data && !x.native()); };
    student = needed(in.student);
    teacher = reads_teacher && (needed(in.teacher) || in.target.fill);
    soft = needed(in.soft_labels);
    gradient = needed(in.gradient);
    transposed = strided(in.student) || (reads_teacher && strided(in.teacher)) || strided(in.soft_labels) ||
                 strided(in.gradient);
    add = in.add && in.gradient.data;
    gradient = gradient || add;
    narrow = in.gradient.data && !in.gradient.native() && !strided(in.gradient) && !whole;
  }
  std::size_t count() const {
    return std::size_t{student} + std::size_t{teacher} + std::size_t{soft} + std::size_t{gradient};
  }

  /// Whether rows of @p x can wait until a sweep reaches their classes.
  static bool can_wait(const stored_rows<const T>& x, std::size_t lanes) {
    return x.data && !x.native() && x.class_stride == 1 && x.classes >= lanes;
  }
  /// Rows [first, first + count) of @p stored, padded with @p pad; the shorter stride runs innermost.
  template <class Isa>
  static void copy_in(const stored_rows<const T>& stored, std::size_t first, std::size_t count, std::size_t padded, T pad,
                      T* out) {
    for (std::size_t r = 0; r < count; ++r) std::fill(out + r * padded + stored.classes, out + (r + 1) * padded, pad);
    if (stored.block != 0 && stored.native()) {
      return each_block(stored, first, count, [&](const auto& x, std::size_t done) { copy_rows(x, 0, x.samples, padded, out + done * padded); });
    }
    if (stored.native()) return copy_rows(stored.as_native(), first, count, padded, out);
    if (stored.class_stride != 1) return copy_rows(stored, first, count, padded, out);
    for (std::size_t r = 0; r < count; ++r)
      widen_row<Isa>(stored.type, stored.at_row(first + r), 0, stored.classes, out + r * padded);
  }
  template <class Isa>
  void copy_out(T* in, std::size_t padded, std::size_t first, std::size_t count, const stored_rows<T>& stored) const {
    if (!stored.native() && stored.class_stride == 1) {
      for (std::size_t r = 0; r < count; ++r)
        put_row<Isa>(in + r * padded, 0, stored.classes, stored, first + r);
    } else if (!stored.native()) {
      for (std::size_t r = 0; r < count; ++r)
        for (std::size_t c = 0; c < stored.classes; ++c) {
          const T value = in[r * padded + c];
          stored.put(first + r, c, add ? stored(first + r, c) + value : value);
        }
    } else if (stored.block != 0) {
      each_block(stored, first, count,
                 [&](const auto& x, std::size_t done) { write_rows(in + done * padded, padded, 0, x.samples, x); });
    } else {
      write_rows(in, padded, first, count, stored.as_native());
    }
  }

  /// @p n classes of row @p r, which memory holds in another type; @p in is overwritten.
  template <class Isa>
  void put_row(T* in, std::size_t first, std::size_t n, const stored_rows<T>& stored, std::size_t r) const {
    if (add) add_row<Isa>(stored.type, stored.at_row(r), first, n, in);
    narrow_row<Isa>(stored.type, in, first, n, stored.at_row(r));
  }

 private:
  /// f(rows of one block, how many came before) for rows [first, first + count), which are native.
  template <class E, class F>
  static void each_block(const stored_rows<E>& x, std::size_t first, std::size_t count, const F& f) {
    for (std::size_t done = 0, n = 0; done < count; done += n) {
      n = (std::min)(count - done, x.block - (first + done) % x.block);
      f(rows<E>(x.row(first + done), n, x.classes, x.sample_stride, x.class_stride), done);
    }
  }
  template <class Rows>
  static void copy_rows(const Rows& x, std::size_t first, std::size_t count, std::size_t padded, T* out) {
    if (std::abs(x.sample_stride) < std::abs(x.class_stride)) {
      for (std::size_t c = 0; c < x.classes; ++c)
        for (std::size_t r = 0; r < count; ++r) out[r * padded + c] = x(first + r, c);
    } else {
      for (std::size_t r = 0; r < count; ++r)
        for (std::size_t c = 0; c < x.classes; ++c) out[r * padded + c] = x(first + r, c);
    }
  }
  void write_rows(const T* in, std::size_t padded, std::size_t first, std::size_t count, const rows<T>& x) const {
    if (std::abs(x.sample_stride) < std::abs(x.class_stride)) {
      for (std::size_t c = 0; c < x.classes; ++c)
        for (std::size_t r = 0; r < count; ++r) put(x(first + r, c), in[r * padded + c]);
    } else {
      for (std::size_t r = 0; r < count; ++r)
        for (std::size_t c = 0; c < x.classes; ++c) put(x(first + r, c), in[r * padded + c]);
    }
  }
  void put(T& to, T from) const { to = add ? to + from : from; }
};

/// The lowest row with a fault; which thread finds one first is chance, the lowest row is not.
class first_fault {
 public:
  void report(std::size_t r, fault code) {
    const std::size_t mine = r * codes + static_cast<std::size_t>(code);
    std::size_t seen = lowest_.load();
    while (mine < seen && !lowest_.compare_exchange_weak(seen, mine)) {
    }
  }
  bool any() const { return lowest_.load() != nothing; }
  /// Row and fault in one number, the lowest row first.
  std::size_t lowest() const { return lowest_.load(); }
  static std::size_t row_of(std::size_t x) { return x / codes; }
  static fault code_of(std::size_t x) { return static_cast<fault>(x % codes); }
  bool before(std::size_t r) const { return lowest_.load(std::memory_order_relaxed) / codes < r; }
  template <class T>
  void throw_if_any(const problem<T>& in) const {
    if (const std::size_t x = lowest_.load(); x != nothing) throw_fault(in, code_of(x), row_of(x));
  }

 private:
  static constexpr std::size_t codes = 16;
  static constexpr std::size_t nothing = static_cast<std::size_t>(-1);
  std::atomic<std::size_t> lowest_{nothing};
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
