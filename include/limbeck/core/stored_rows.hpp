#ifndef LIMBECK_CORE_STORED_ROWS_HPP
#define LIMBECK_CORE_STORED_ROWS_HPP

/// @file
/// Rows of any floating-point type, seen in the type in which they are computed with.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/half.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Samples x classes whose elements are float16, bfloat16, float or double, and read as @p T without const, which is float or
/// double. @p T is const for an input. The stored type is known at run time, so that it adds no sweep.
template <class T>
struct stored_rows {
  using element = T;                           ///< as in `rows`
  using number = std::remove_const_t<T>;       ///< what is read
  using pointer = std::conditional_t<std::is_const_v<T>, const void*, void*>;  ///< to memory of any type

  pointer data = nullptr;            ///< element (0, 0)
  std::size_t samples = 0;           ///< rows
  std::size_t classes = 0;           ///< columns
  std::ptrdiff_t sample_stride = 0;  ///< elements between samples
  std::ptrdiff_t class_stride = 1;   ///< elements between classes
  element_type type = element_type_of<number>;  ///< of an element in memory
  std::size_t block = 0;             ///< rows that `sample_stride` leads through, as the pixels of a picture; 0: all
  std::ptrdiff_t block_stride = 0;   ///< elements between the first rows of two such blocks

  constexpr stored_rows() = default;
  /// A view of rows of any of the four types.
  template <class U>
    requires(std::is_const_v<T> || !std::is_const_v<U>)
  constexpr stored_rows(const rows<U>& x)
      : data(x.data),
        samples(x.samples),
        classes(x.classes),
        sample_stride(x.sample_stride),
        class_stride(x.class_stride),
        type(element_type_of<std::remove_const_t<U>>) {
    using Bare = std::remove_const_t<U>;
    static_assert(std::is_same_v<Bare, float> || std::is_same_v<Bare, double> || std::is_same_v<Bare, float16> ||
                      std::is_same_v<Bare, bfloat16>,
                  "limbeck: rows hold float16, bfloat16, float or double");
  }

  /// The same rows, to be read only.
  template <class U>
    requires(std::is_const_v<T> && std::is_same_v<U, number>)
  LIMBECK_HOST_DEVICE constexpr stored_rows(const stored_rows<U>& x)
      : data(x.data),
        samples(x.samples),
        classes(x.classes),
        sample_stride(x.sample_stride),
        class_stride(x.class_stride),
        type(x.type),
        block(x.block),
        block_stride(x.block_stride) {}

  /// Whether memory holds what is computed with.
  LIMBECK_HOST_DEVICE constexpr bool native() const { return type == element_type_of<number>; }
  /// Whether it is native and has one stride between rows: what `rows` can show.
  LIMBECK_HOST_DEVICE constexpr bool plain() const { return native() && block == 0; }
  /// Elements from the first row to row @p r.
  LIMBECK_HOST_DEVICE constexpr std::ptrdiff_t to_row(std::size_t r) const {
    if (block == 0) return static_cast<std::ptrdiff_t>(r) * sample_stride;
    return static_cast<std::ptrdiff_t>(r / block) * block_stride + static_cast<std::ptrdiff_t>(r % block) * sample_stride;
  }
  /// The first class of sample @p r, where the rows are native.
  LIMBECK_HOST_DEVICE constexpr T* row(std::size_t r) const { return static_cast<T*>(data) + to_row(r); }
  /// The first class of sample @p r, of the type in memory.
  LIMBECK_HOST_DEVICE constexpr pointer at_row(std::size_t r) const {
    using byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
    return static_cast<byte*>(data) + to_row(r) * static_cast<std::ptrdiff_t>(size_of(type));
  }
  /// Rows [first, first + count), of one block or from the first of one on.
  constexpr stored_rows part(std::size_t first, std::size_t count) const {
    stored_rows x = *this;
    if (data) x.data = at_row(first);
    x.samples = count;
    return x;
  }
  /// The same as rows, where they are plain, or of one block.
  LIMBECK_HOST_DEVICE constexpr rows<T> as_native() const {
    rows<T> x;
    x.data = static_cast<T*>(data);
    x.samples = samples;
    x.classes = classes;
    x.sample_stride = sample_stride;
    x.class_stride = class_stride;
    return x;
  }
  /// Class @p c of sample @p r, of whatever type.
  LIMBECK_HOST_DEVICE number operator()(std::size_t r, std::size_t c) const {
    const std::ptrdiff_t i = at(r, c);
    switch (type) {
      case element_type::float64: return static_cast<number>(static_cast<const double*>(data)[i]);
      case element_type::float16: return static_cast<number>(from_half(static_cast<const float16*>(data)[i].bits));
      case element_type::bfloat16: return static_cast<number>(from_bfloat16(static_cast<const bfloat16*>(data)[i].bits));
      default: return static_cast<number>(static_cast<const float*>(data)[i]);
    }
  }
  /// @p value, rounded to the type in memory.
  LIMBECK_HOST_DEVICE void put(std::size_t r, std::size_t c, number value) const
    requires(!std::is_const_v<T>)
  {
    const std::ptrdiff_t i = at(r, c);
    switch (type) {
      case element_type::float64: static_cast<double*>(data)[i] = static_cast<double>(value); break;
      case element_type::float16: static_cast<float16*>(data)[i] = float16(static_cast<float>(value)); break;
      case element_type::bfloat16: static_cast<bfloat16*>(data)[i] = bfloat16(static_cast<float>(value)); break;
      default: static_cast<float*>(data)[i] = static_cast<float>(value);
    }
  }

 private:
  LIMBECK_HOST_DEVICE constexpr std::ptrdiff_t at(std::size_t r, std::size_t c) const {
    return to_row(r) + static_cast<std::ptrdiff_t>(c) * class_stride;
  }
};

template <class T>
struct tensor_traits<stored_rows<T>> {
  static constexpr bool is_view = true;
  using scalar = std::remove_const_t<T>;
  template <class S>
  using lanes = host_lanes<S>;
  using sweep = host_rows;
  static constexpr stored_rows<T> view(const stored_rows<T>& x) { return x; }
  static std::vector<scalar> gradient_like(const stored_rows<T>& x) { return std::vector<scalar>(x.samples * x.classes); }
  static rows<scalar> view_gradient(std::vector<scalar>& g, const stored_rows<T>& x) {
    return {g.data(), x.samples, x.classes};
  }
};

/// The largest finite number of a floating-point type.
LIMBECK_HOST_DEVICE constexpr double largest_of(element_type type) {
  switch (type) {
    case element_type::float16: return 65504;
    case element_type::bfloat16: return 0x1.fep127;
    case element_type::float64: return (std::numeric_limits<double>::max)();
    default: return static_cast<double>((std::numeric_limits<float>::max)());
  }
}

/// A tensor of run-time type as such rows; its leading dimensions may have two strides between rows.
/// @throws as `any_tensor::rows`.
template <class T>
stored_rows<T> stored_view(const any_tensor& x, const char* argument, memory_kind where = memory_kind::host) {
  if (const std::size_t outer = x.blocks(argument); outer > 0) {
    any_tensor first = x, starts = x;  // one block; the first rows of all
    first.rank = x.rank - outer;
    std::copy(x.shape.begin() + static_cast<std::ptrdiff_t>(outer), x.shape.end(), first.shape.begin());
    std::copy(x.strides.begin() + static_cast<std::ptrdiff_t>(outer), x.strides.end(), first.strides.begin());
    starts.rank = outer + 1;
    starts.shape[outer] = x.shape[x.rank - 1];
    starts.strides[outer] = x.strides[x.rank - 1];
    stored_rows<T> all = stored_view<T>(first, argument, where);
    const stored_rows<T> blocks = stored_view<T>(starts, argument, where);
    all.block = all.samples;
    all.block_stride = blocks.sample_stride;
    all.samples *= blocks.samples;
    return all;
  }
  const auto as = [&]<class E>(E) {
    return stored_rows<T>(x.template rows<std::conditional_t<std::is_const_v<T>, const E, E>>(argument, where));
  };
  switch (x.type) {
    case element_type::float16: return as(float16{});
    case element_type::bfloat16: return as(bfloat16{});
    case element_type::float32: return as(float{});
    case element_type::float64: return as(double{});
    default: return as(std::remove_const_t<T>{});  // says what is expected
  }
}

/// @cond
namespace detail {

/// A tensor of run-time type in the memory of a sweep; a backend with memory of its own specialises it.
template <class T, class Sweep>
struct stored_tensor;
template <class T>
struct stored_tensor<T, host_rows> {
  using type = stored_rows<T>;
};

/// @p count neighbours from @p from, 64 at a time: loops of fixed length over memory of their own, by one width of number each,
/// are vector code at -O2, too.
template <class Stored, class T>
void widen(const Stored* from, std::size_t count, T* to) {
  constexpr std::size_t piece = 64;
  std::size_t i = 0;
  for (; i + piece <= count; i += piece) {
    T out[piece];
    if constexpr (std::is_same_v<Stored, bfloat16> && std::is_same_v<T, float>) {
      std::uint16_t in[piece];
      std::uint32_t bits[piece];
      std::memcpy(in, from + i, sizeof in);
      for (std::size_t k = 0; k < piece; ++k) bits[k] = static_cast<std::uint32_t>(in[k]) << 16U;
      std::memcpy(out, bits, sizeof out);
    } else {
      Stored in[piece];
      std::memcpy(static_cast<void*>(in), from + i, sizeof in);
      for (std::size_t k = 0; k < piece; ++k) out[k] = static_cast<T>(in[k]);
    }
    std::memcpy(to + i, out, sizeof out);
  }
  for (; i < count; ++i) to[i] = static_cast<T>(from[i]);
}
template <class Stored, class T>
void narrow(const T* from, std::size_t count, Stored* to) {
  constexpr std::size_t piece = 64;
  std::size_t i = 0;
  if constexpr (std::is_same_v<arithmetic_of_t<Stored>, Stored>) {
    for (; i < count; ++i) to[i] = static_cast<Stored>(from[i]);
  } else {
    for (; i + piece <= count; i += piece) {
      float in[piece];
      std::uint16_t out[piece];
      for (std::size_t k = 0; k < piece; ++k) in[k] = static_cast<float>(from[i + k]);
      for (std::size_t k = 0; k < piece; ++k) out[k] = Stored(in[k]).bits;
      std::memcpy(static_cast<void*>(to + i), out, sizeof out);
    }
    for (; i < count; ++i) to[i] = Stored(static_cast<float>(from[i]));
  }
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
