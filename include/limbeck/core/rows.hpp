#ifndef LIMBECK_CORE_ROWS_HPP
#define LIMBECK_CORE_ROWS_HPP

/// @file
/// Rows: a batch seen as samples x classes, over memory that somebody else owns.

#include <limbeck/core/config.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/half.hpp>
#include <limbeck/core/lifetime.hpp>
#include <limbeck/engine/pack.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A view of samples x classes: element (r, c) stands at `data[r * sample_stride + c * class_stride]`.
///
/// Over plain memory it is a tensor of its own: `rows<const float>(pointer, samples, classes)`. @p T is
/// `float` or `double`, or `float16` or `bfloat16`, which are computed with in float; const for an input. Copying copies the view.
template <class T>
struct rows {
  using element = T;                 ///< const for an input
  T* data = nullptr;                 ///< element (0, 0)
  std::size_t samples = 0;           ///< rows
  std::size_t classes = 0;           ///< columns
  std::ptrdiff_t sample_stride = 0;  ///< elements between samples
  std::ptrdiff_t class_stride = 1;   ///< elements between classes

  constexpr rows() = default;
  /// Contiguous, one row after the other.
  constexpr rows(T* d, std::size_t n, std::size_t c)
      : data(d), samples(n), classes(c), sample_stride(static_cast<std::ptrdiff_t>(c)) {}
  /// Strided: distances in elements between samples and between classes.
  constexpr rows(T* d, std::size_t n, std::size_t c, std::ptrdiff_t between_samples, std::ptrdiff_t between_classes = 1)
      : data(d), samples(n), classes(c), sample_stride(between_samples), class_stride(between_classes) {}
  /// A view of mutable memory is also a view of constant memory.
  template <class U>
    requires std::is_same_v<const U, T>
  constexpr rows(const rows<U>& x)
      : data(x.data), samples(x.samples), classes(x.classes), sample_stride(x.sample_stride), class_stride(x.class_stride) {}

  /// The first class of sample @p r.
  LIMBECK_HOST_DEVICE constexpr T* row(std::size_t r) const {
    return data + static_cast<std::ptrdiff_t>(r) * sample_stride;
  }
  /// Class @p c of sample @p r.
  LIMBECK_HOST_DEVICE constexpr T& operator()(std::size_t r, std::size_t c) const {
    return row(r)[static_cast<std::ptrdiff_t>(c) * class_stride];
  }
  /// Samples and classes exchanged; nothing moves.
  constexpr rows transposed() const { return {data, classes, samples, class_stride, sample_stride}; }
};

/// How a type is seen as rows. Specialise it, in this namespace, to bring a tensor of your own:
///
/// - `scalar`: `float` or `double`, in which it is computed with;
/// - `template <class T> using lanes`: the pack, `limbeck::host_lanes<T>` where there is no better;
/// - `static constexpr bool is_view`: whether the memory outlives the tensor, as that of a map or a span (default: no);
/// - `using sweep`: `limbeck::host_rows` for memory that the CPU reads;
/// - `static rows<const scalar> view(const Tensor&)`, and `static rows<scalar> view(Tensor&)` for outputs;
/// - `static auto gradient_like(const Tensor&)`: a fresh tensor of the same shape (for the convenience form only);
/// - optional, `template <class T> static const dense_primitives<T>& dense()`: products by a library of yours, for
///   batchwise losses (`engine/dense.hpp` has Limbeck's own).
template <class Tensor>
struct tensor_traits;

/// Memory that host threads sweep.
struct host_rows {};

/// A type that `tensor_traits` can view as samples x classes.
template <class Tensor>
concept tensor = requires { typename tensor_traits<std::remove_cvref_t<Tensor>>::scalar; };

template <class T>
struct tensor_traits<rows<T>> {
  static constexpr bool is_view = true;
  using element = std::remove_const_t<T>;
  using scalar = arithmetic_of_t<element>;
  template <class S>
  using lanes = host_lanes<S>;
  using sweep = host_rows;
  static constexpr rows<T> view(const rows<T>& x) { return x; }
  static std::vector<element> gradient_like(const rows<T>& x) { return std::vector<element>(x.samples * x.classes); }
  static rows<element> view_gradient(std::vector<element>& g, const rows<T>& x) {
    return {g.data(), x.samples, x.classes};
  }
};

/// @cond
template <class Tensor>
struct columns_view {
  Tensor& tensor;
};
/// @endcond

/// The same memory with samples in columns: for an Eigen matrix of classes x samples, and its like.
template <class Tensor>
constexpr columns_view<std::remove_reference_t<Tensor>> samples_in_columns(Tensor&& x) {
  detail::require_kept<Tensor>();
  return {x};
}

template <class Tensor>
struct tensor_traits<columns_view<Tensor>> {
  static constexpr bool is_view = true;
  using inner = tensor_traits<std::remove_cv_t<Tensor>>;
  using scalar = typename inner::scalar;
  template <class S>
  using lanes = typename inner::template lanes<S>;
  using sweep = typename inner::sweep;
  static auto view(const columns_view<Tensor>& x) { return inner::view(x.tensor).transposed(); }
  static auto gradient_like(const columns_view<Tensor>& x) { return inner::gradient_like(x.tensor); }
  template <class G>
  static rows<scalar> view_gradient(G& g, const columns_view<Tensor>&) {
    return tensor_traits<G>::view(g).transposed();
  }
};

/// A read-only vector of any arithmetic type: labels, row weights, masks, row temperatures.
///
/// The element type is known at run time, so that it adds no instantiation: one predictable branch a row.
class any_vector {
 public:
  constexpr any_vector() = default;
  /// A view of @p size numbers, @p stride elements apart.
  template <class T>
  constexpr any_vector(const T* data, std::size_t size, std::ptrdiff_t stride = 1)
      : data_(data), size_(size), stride_(stride), kind_(kind_of<T>()) {}

  /// Whether the argument was not given at all.
  constexpr bool empty() const { return data_ == nullptr && size_ == 0 && !given_; }
  /// Number of elements.
  constexpr std::size_t size() const { return size_; }
  /// The first element, null where the argument was not given.
  LIMBECK_HOST_DEVICE constexpr const void* data() const { return data_; }
  /// Marks an argument that was given, though it may have no element.
  constexpr any_vector& given() {
    given_ = true;
    return *this;
  }

  /// Element i is the one behind it in its sequence of @p length, and `end_at` of the last.
  constexpr any_vector next_within(std::size_t length) const {
    any_vector next = *this;
    next.sequence_ = length;
    return next;
  }
  /// Elements [first, first + count).
  constexpr any_vector part(std::size_t first, std::size_t count) const {
    any_vector p = *this;
    if (data_) p.first_ += first, p.size_ = count;
    return p;
  }
  /// What the last element of a sequence is; -100 unless told.
  constexpr void end_at(std::int64_t value) { end_ = value; }

  /// Element @p i as a number.
  LIMBECK_HOST_DEVICE double number(std::size_t i) const { return read<double>(i); }
  /// Element @p i as an integer.
  LIMBECK_HOST_DEVICE std::int64_t integer(std::size_t i) const { return read<std::int64_t>(i); }

 private:
  enum class kind { f32, f64, i8, u8, i16, u16, i32, u32, i64, u64 };
  template <class T>
  static constexpr kind kind_of() {
    if constexpr (std::is_floating_point_v<T>) {
      static_assert(sizeof(T) == 4 || sizeof(T) == 8, "limbeck: a vector of numbers holds float or double");
      return sizeof(T) == 4 ? kind::f32 : kind::f64;
    } else if constexpr (sizeof(T) == 1) {
      return std::is_signed_v<T> ? kind::i8 : kind::u8;
    } else if constexpr (sizeof(T) == 2) {
      return std::is_signed_v<T> ? kind::i16 : kind::u16;
    } else if constexpr (sizeof(T) == 4) {
      return std::is_signed_v<T> ? kind::i32 : kind::u32;
    } else {
      return std::is_signed_v<T> ? kind::i64 : kind::u64;
    }
  }
  template <class R>
  LIMBECK_HOST_DEVICE R read(std::size_t index) const {
    index += first_;
    if (sequence_ > 0 && ++index % sequence_ == 0) return static_cast<R>(end_);
    const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(index) * stride_;
    switch (kind_) {
      case kind::f32: return static_cast<R>(static_cast<const float*>(data_)[i]);
      case kind::f64: return static_cast<R>(static_cast<const double*>(data_)[i]);
      case kind::i8: return static_cast<R>(static_cast<const std::int8_t*>(data_)[i]);
      case kind::u8: return static_cast<R>(static_cast<const std::uint8_t*>(data_)[i]);
      case kind::i16: return static_cast<R>(static_cast<const std::int16_t*>(data_)[i]);
      case kind::u16: return static_cast<R>(static_cast<const std::uint16_t*>(data_)[i]);
      case kind::i32: return static_cast<R>(static_cast<const std::int32_t*>(data_)[i]);
      case kind::u32: return static_cast<R>(static_cast<const std::uint32_t*>(data_)[i]);
      case kind::i64: return static_cast<R>(static_cast<const std::int64_t*>(data_)[i]);
      case kind::u64: return static_cast<R>(static_cast<const std::uint64_t*>(data_)[i]);
    }
    return R{};
  }

  const void* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t first_ = 0;
  std::ptrdiff_t stride_ = 1;
  std::size_t sequence_ = 0;
  std::int64_t end_ = -100;
  kind kind_ = kind::f32;
  bool given_ = false;
};

namespace detail {

template <class V>
concept sized_memory = requires(const V& v) {
  { v.data() };
  { v.size() };
} && std::is_arithmetic_v<std::remove_cvref_t<decltype(*std::declval<const V&>().data())>>;

/// Element type of a vector argument, void where it is none, and whose memory it is. A backend with memory of its own
/// specialises it and adds `static auto* data(V&)`.
template <class V>
struct vector_element {
  using type = void;
  using memory = host_rows;
};
template <sized_memory V>
struct vector_element<V> {
  using type = std::remove_cvref_t<decltype(*std::declval<const V&>().data())>;
  using memory = host_rows;
};
template <class V>
using vector_element_t = typename vector_element<std::remove_cvref_t<V>>::type;
template <class V>
using vector_memory_t = typename vector_element<std::remove_cvref_t<V>>::memory;

/// One-dimensional memory: the element at i stands at data[i * stride].
template <class T>
struct strided_vector {
  T* data;
  std::size_t size;
  std::ptrdiff_t stride;
};

/// Anything with data() and size() over one dimension, strided or not: std::vector, std::span, Eigen and xtensor
/// vectors, and what specialises `vector_element`.
template <class V>
auto vector_memory(V& v) {
  const auto n = static_cast<std::size_t>(v.size());
  if constexpr (requires { vector_element<std::remove_cv_t<V>>::data(v); }) {
    auto* data = vector_element<std::remove_cv_t<V>>::data(v);
    std::ptrdiff_t stride = 1;
    if constexpr (requires { vector_element<std::remove_cv_t<V>>::stride(v); })
      stride = vector_element<std::remove_cv_t<V>>::stride(v);
    return strided_vector<std::remove_pointer_t<decltype(data)>>{data, n, stride};
  } else {
    auto* data = v.data();
    std::ptrdiff_t stride = 1;
    if constexpr (requires { v.innerStride(); }) {
      stride = static_cast<std::ptrdiff_t>(v.innerStride());
    } else if constexpr (requires { v.data_offset(); v.strides(); }) {  // xtensor; a length of one has stride 0
      data += v.data_offset();
      if (n > 1) stride = static_cast<std::ptrdiff_t>(v.strides()[v.strides().size() - 1]);
    }
    return strided_vector<std::remove_pointer_t<decltype(data)>>{data, n, stride};
  }
}

/// Writes element @p i.
template <class T, class N>
void put(const strided_vector<T>& out, std::size_t i, N value) {
  out.data[static_cast<std::ptrdiff_t>(i) * out.stride] = static_cast<T>(value);
}

/// The memory of an output vector. @throws shape_error where it does not have @p size elements.
template <class V>
auto output_vector(const char* name, V& out, std::size_t size, const char* what = "one a row") {
  const auto memory = vector_memory(out);
  if (memory.size != size) throw_length(name, memory.size, size, what);
  return memory;
}
/// Labels whose type is known at run time.
template <class Memory>
struct any_labels {
  any_vector values;
};
template <class Memory>
struct vector_element<any_labels<Memory>> {
  using type = std::int64_t;  // any whole number
  using memory = Memory;
};

template <class Memory>
any_vector view_vector(const any_labels<Memory>& y) {
  return y.values;
}
template <class V>
any_vector view_vector(const V& v) {
  const auto memory = vector_memory(v);
  return any_vector(memory.data, memory.size, memory.stride).given();
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
