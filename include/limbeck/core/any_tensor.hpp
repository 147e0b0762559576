#ifndef LIMBECK_CORE_ANY_TENSOR_HPP
#define LIMBECK_CORE_ANY_TENSOR_HPP

/// @file
/// Tensors whose element type, rank and device are known at run time: what LibTorch, DLPack and files hold.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// The type of an element, by NumPy's names; `none` is whatever has no place here (complex numbers, strings).
enum class element_type : std::uint8_t {
  none,
  boolean,
  int8,
  uint8,
  int16,
  uint16,
  int32,
  uint32,
  int64,
  uint64,
  float16,
  bfloat16,
  float32,
  float64
};

/// Bytes of one element, 0 for `none`.
LIMBECK_HOST_DEVICE constexpr std::size_t size_of(element_type e) {
  constexpr std::uint8_t size[] = {0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};
  return size[static_cast<std::size_t>(e)];
}
/// "float32", "int64", ...
constexpr const char* name_of(element_type e) {
  constexpr const char* name[] = {"an unknown type", "bool",  "int8",   "uint8",   "int16",    "uint16",  "int32",
                                  "uint32",          "int64", "uint64", "float16", "bfloat16", "float32", "float64"};
  return name[static_cast<std::size_t>(e)];
}
/// Whether it is a whole number; `boolean` is none.
constexpr bool is_integer(element_type e) { return e >= element_type::int8 && e <= element_type::uint64; }

/// The element type of a C++ type: `element_type_of<float> == element_type::float32`.
template <class T>
inline constexpr element_type element_type_of = [] {
  using enum element_type;
  if constexpr (std::is_same_v<T, bool>) {
    return boolean;
  } else if constexpr (std::is_same_v<T, limbeck::float16>) {
    return float16;
  } else if constexpr (std::is_same_v<T, limbeck::bfloat16>) {
    return bfloat16;
  } else if constexpr (std::is_floating_point_v<T>) {
    return sizeof(T) == 4 ? float32 : sizeof(T) == 8 ? float64 : none;
  } else if constexpr (std::is_integral_v<T>) {
    constexpr element_type whole[2][4] = {{uint8, uint16, uint32, uint64}, {int8, int16, int32, int64}};
    return whole[std::is_signed_v<T>][sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3];
  } else {
    return none;
  }
}();

/// Whose memory it is.
enum class memory_kind : std::uint8_t {
  host,  ///< the CPU reads it
  cuda,  ///< an NVIDIA device
  other  ///< another accelerator
};

/// A view of a tensor whose type is known at run time only. It owns nothing; strides are in elements.
///
/// A call takes it in the place of a tensor or of labels: `objective(student, teacher, labels, into(gradient))` with
/// any_tensors runs the float or the double kernel by the student's type. LibTorch's and DLPack's tensors become one by
/// themselves (`limbeck/torch.hpp`, `limbeck/dlpack.hpp`).
struct any_tensor {
  using limbeck_view = void;
  static constexpr std::size_t max_rank = 8;  ///< dimensions at most

  void* data = nullptr;                            ///< the element at 0, 0, ...
  element_type type = element_type::none;          ///< of an element
  memory_kind memory = memory_kind::host;          ///< where `data` points to
  bool read_only = true;                           ///< whether an output may not go there
  std::size_t rank = 0;                            ///< number of dimensions
  std::array<std::ptrdiff_t, max_rank> shape{};    ///< elements along each
  std::array<std::ptrdiff_t, max_rank> strides{};  ///< elements between neighbours along each
  bool named_classes = false;                      ///< `classes_at` has put the classes last
  std::size_t beyond = 0;                          ///< classes behind the last that `first_classes` does not show

  /// Nothing.
  any_tensor() = default;
  /// Contiguous, the last dimension fastest. @throws shape_error beyond `max_rank` dimensions.
  any_tensor(const void* d, element_type e, std::span<const std::ptrdiff_t> dimensions, bool constant = true)
      : data(const_cast<void*>(d)), type(e), read_only(constant), rank(dimensions.size()) {
    check_rank(rank);
    std::ptrdiff_t step = 1;
    for (std::size_t i = rank; i-- > 0;) {
      shape[i] = dimensions[i];
      strides[i] = step;
      step *= dimensions[i];
    }
  }

  /// Number of elements.
  std::size_t size() const {
    std::size_t n = 1;
    for (std::size_t i = 0; i < rank; ++i) n *= static_cast<std::size_t>(shape[i]);
    return n;
  }
  /// As in "float32 [32, 10]".
  std::string str() const {
    std::string s = std::string(name_of(type)) + " [";
    for (std::size_t i = 0; i < rank; ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
    return s + "]";
  }

  /// Samples x classes: the last dimension holds the classes, all others the samples, so logits of batch x positions x
  /// vocabulary are rows too. Of four dimensions and more the classes have to be named, by `classes_at`: pictures have them
  /// second. Nothing is copied. @p argument is the name that an error gives it.
  /// @throws value_error where the type is not @p T, the memory not @p where, the pointer not aligned, or, for a @p T
  ///         that is not const, the tensor read-only. @throws shape_error for one dimension, or strides that no rows
  ///         have.
  template <class T>
  limbeck::rows<T> rows(const char* argument = "tensor", memory_kind where = memory_kind::host) const {
    require<T>(argument, where);
    if (rank < 2) raise<shape_error>(about(argument) + ", expected samples x classes");
    if (rank > 3 && !named_classes)
      raise<shape_error>(about(argument) + "; which dimension holds the classes? classes_at(1, tensor) for batch x classes x " +
                         "height x width, classes_at(" + std::to_string(rank - 1) + ", tensor) for the last");
    const auto last = rank - 1;
    std::ptrdiff_t between = 1, count = 1;
    merge(argument, last, between, count);
    if constexpr (!std::is_const_v<T>) {
      if (size() > 0 && ((count > 1 && between == 0) || (shape[last] > 1 && strides[last] == 0)))
        raise<shape_error>(about(argument) + " repeats its elements (a stride is 0), and an output cannot");
    }
    return {static_cast<T*>(data), static_cast<std::size_t>(count), static_cast<std::size_t>(shape[last]), between,
            strides[last]};
  }

  /// How many of the first dimensions lead from one block of rows to the next, where the leading ones have two strides between rows, as
  /// the pixels of several pictures have whose classes lie between the pictures; 0 where one stride leads through all, and where
  /// `rows` has yet to be told which dimension holds the classes.
  /// @throws shape_error where there are more than two. @p argument is the name that an error gives it.
  std::size_t blocks(const char* argument = "tensor") const {
    if (rank < 3 || size() == 0) return 0;
    std::size_t outer = 0;
    std::ptrdiff_t between = 0, count = 0;  // of the group at hand, none yet
    for (std::size_t i = rank - 1; i-- > 0;) {
      if (shape[i] == 1) continue;
      if (count > 0 && strides[i] != between * count) {
        if (outer > 0)
          raise<shape_error>(about(argument) + " whose leading dimensions have more than two strides between rows; make it contiguous, or "
                                               "call it part by part (picture by picture)");
        outer = i + 1;
        count = 0;
      }
      if (count == 0) between = strides[i], count = 1;
      count *= shape[i];
    }
    return rank > 3 && !named_classes ? 0 : outer;
  }

  /// All dimensions as one, read as any number: labels, weights, masks.
  /// @throws value_error, shape_error as `rows` does.
  any_vector vector(const char* argument = "tensor", memory_kind where = memory_kind::host) const {
    require_memory(argument, where);
    std::ptrdiff_t between = 1, count = 1;
    merge(argument, rank, between, count);
    const auto n = static_cast<std::size_t>(count);
    const auto as = [&]<class T>(T) {
      require<const T>(argument, where);
      return any_vector(static_cast<const T*>(data), n, between).given();
    };
    switch (type) {
      case element_type::boolean: return any_vector(static_cast<const std::uint8_t*>(data), n, between).given();
      case element_type::int8: return as(std::int8_t{});
      case element_type::uint8: return as(std::uint8_t{});
      case element_type::int16: return as(std::int16_t{});
      case element_type::uint16: return as(std::uint16_t{});
      case element_type::int32: return as(std::int32_t{});
      case element_type::uint32: return as(std::uint32_t{});
      case element_type::int64: return as(std::int64_t{});
      case element_type::uint64: return as(std::uint64_t{});
      case element_type::float32: return as(float{});
      case element_type::float64: return as(double{});
      default: raise<value_error>(about(argument) + ", expected float32, float64, a whole number or bool");
    }
  }

  /// The elements of a contiguous tensor, in order. @throws value_error, shape_error as `rows` does.
  template <class T>
  std::span<T> span(const char* argument = "tensor", memory_kind where = memory_kind::host) const {
    require<T>(argument, where);
    std::ptrdiff_t between = 1, count = 1;
    merge(argument, rank, between, count);
    if (between != 1 && count > 1) raise<shape_error>(about(argument) + " is not contiguous");
    return {static_cast<T*>(data), static_cast<std::size_t>(count)};
  }

  /// @throws shape_error beyond `max_rank`.
  static void check_rank(std::size_t dimensions) {
    if (dimensions > max_rank)
      raise<shape_error>("limbeck: a tensor of " + std::to_string(dimensions) + " dimensions, expected at most 8");
  }

 private:
  std::string about(const char* argument) const { return std::string("limbeck: ") + argument + " is " + str(); }

  void require_memory(const char* argument, memory_kind where) const {
    if (memory == where) return;
    if (where == memory_kind::host)
      raise<value_error>(about(argument) +
                         " on a device, and this call runs on the host; include <limbeck/thrust.hpp>, "
                         "compile with nvcc and pass a device_workspace");
    raise<value_error>(about(argument) + " in other memory than that of Thrust's device");
  }
  template <class T>
  void require(const char* argument, memory_kind where) const {
    using Bare = std::remove_const_t<T>;
    require_memory(argument, where);
    if (type != element_type_of<Bare>)
      raise<value_error>(about(argument) + ", expected " + name_of(element_type_of<Bare>));
    if (reinterpret_cast<std::uintptr_t>(data) % alignof(Bare) != 0)
      raise<value_error>(about(argument) + " at an address that is no multiple of " + std::to_string(alignof(Bare)) +
                         "; copy it");
    if (!std::is_const_v<T> && read_only) raise<value_error>(about(argument) + " and read-only, but it is an output");
  }

  /// The first @p n dimensions as one: its size, and the distance between neighbours.
  void merge(const char* argument, std::size_t n, std::ptrdiff_t& between, std::ptrdiff_t& count) const {
    bool first = true;
    for (std::size_t i = n; i-- > 0;) {
      if (shape[i] == 1) continue;
      if (first) {
        between = strides[i];
        first = false;
      } else if (strides[i] != between * count && size() > 0) {
        raise<shape_error>(about(argument) +
                           " whose leading dimensions do not lie one after the other; make it contiguous, or call it "
                           "part by part (picture by picture)");
      }
      count *= shape[i];
    }
  }
};

/// How a foreign tensor whose type is known at run time becomes an `any_tensor`. Specialise it, in this namespace, with
/// `static any_tensor view(const X&)`, and, for calls without `into`, `static X gradient_like(const X&)`. Where a copy of an
/// X is a handle that keeps the memory alive, it says so by `static constexpr bool shares_memory = true`.
template <class X>
struct any_tensor_traits;
template <>
struct any_tensor_traits<any_tensor> {
  static any_tensor view(const any_tensor& x) { return x; }
};

/// A type that `any_tensor_traits` can view.
template <class X>
concept run_time_tensor = requires(const std::remove_cvref_t<X>& x) {
  any_tensor_traits<std::remove_cvref_t<X>>::view(x);
};

/// Whatever holds numbers: an `any_tensor` and what becomes one, a tensor (rows, Eigen, xtensor), and memory of one
/// dimension (std::vector, std::span).
template <class X>
concept storable = run_time_tensor<X> || tensor<X> || detail::sized_memory<X>;

/// @cond
namespace detail {

/// The memory that a sweep reads; a backend with memory of its own specialises it.
template <class Sweep>
inline constexpr memory_kind kind_of_memory = memory_kind::host;

/// All of @p x as a view, read-only where @p x is const, in whatever memory.
template <class X>
any_tensor memory_view(X& x) {
  if constexpr (run_time_tensor<X>) {
    return any_tensor_traits<std::remove_const_t<X>>::view(x);
  } else {
    using Bare = std::remove_const_t<X>;
    const auto fill = [](memory_kind where, auto* data, std::initializer_list<std::size_t> shape,
                         std::initializer_list<std::ptrdiff_t> strides) {
      using Element = std::remove_pointer_t<decltype(data)>;
      any_tensor out;
      out.data = const_cast<std::remove_const_t<Element>*>(data);
      out.type = element_type_of<std::remove_const_t<Element>>;
      out.memory = where;
      out.read_only = std::is_const_v<Element>;
      out.rank = shape.size();
      for (std::size_t i = 0; i < out.rank; ++i) {
        out.shape[i] = static_cast<std::ptrdiff_t>(shape.begin()[i]);
        out.strides[i] = strides.begin()[i];
      }
      return out;
    };
    if constexpr (tensor<X>) {
      const auto r = tensor_traits<Bare>::view(x);
      return fill(kind_of_memory<typename tensor_traits<Bare>::sweep>, r.data, {r.samples, r.classes},
                  {r.sample_stride, r.class_stride});
    } else {
      const auto v = vector_memory(x);
      return fill(kind_of_memory<vector_memory_t<X>>, v.data, {v.size}, {v.stride});
    }
  }
}
/// The same of the host's memory.
template <storable X>
any_tensor any_view(X& x) {
  if constexpr (tensor<X> && !run_time_tensor<X>)
    static_assert(std::is_same_v<typename tensor_traits<std::remove_const_t<X>>::sweep, host_rows>,
                  "limbeck: a file, or another library, is given the host's memory; copy the tensor to the host");
  return memory_view(x);
}

}  // namespace detail
/// @endcond

/// @p x seen with dimension @p axis, that of the classes, behind all others: logits of pictures, batch x classes x height x width,
/// are pixels x classes by `objective(classes_at(1, student), classes_at(1, teacher), labels, into(classes_at(1, gradient)))`.
/// Nothing moves. One picture a call, where the batch does not lie in memory as one picture would: rows have one stride.
/// @throws shape_error where there is no such dimension.
template <run_time_tensor X>
any_tensor classes_at(std::size_t axis, X&& x) {
  detail::require_kept<X>();
  any_tensor t = any_tensor_traits<std::remove_cvref_t<X>>::view(x);
  if (axis >= t.rank)
    raise<shape_error>("limbeck: classes_at(" + std::to_string(axis) + ", ...) of " + t.str() + ", whose dimensions are 0 to " +
                       std::to_string(t.rank - 1));
  if (t.beyond > 0 && axis + 1 != t.rank)
    raise<shape_error>("limbeck: classes_at(" + std::to_string(axis) + ", ...) of " + t.str() + ", the first classes of its last "
                       "dimension; first_classes(n, classes_at(axis, x)) takes those of another");
  const auto last = static_cast<std::ptrdiff_t>(t.rank), from = static_cast<std::ptrdiff_t>(axis);
  std::rotate(t.shape.begin() + from, t.shape.begin() + from + 1, t.shape.begin() + last);
  std::rotate(t.strides.begin() + from, t.strides.begin() + from + 1, t.strides.begin() + last);
  t.named_classes = true;
  return t;
}

/// A tensor of run-time type as rows of @p T, for whatever is not a call: targets, selectors, signals.
/// `mean_of_probabilities(as_rows<const float>(first), as_rows<const float>(second))`. @throws as `any_tensor::rows`.
template <class T, run_time_tensor X>
rows<T> as_rows(X&& x) {
  detail::require_kept<X>();
  return any_tensor_traits<std::remove_cvref_t<X>>::view(x).template rows<T>();
}
/// All its elements in order, where they are contiguous: parameters for an averager. @throws as `any_tensor::span`.
template <class T, run_time_tensor X>
std::span<T> as_span(X&& x) {
  detail::require_kept<X>();
  return any_tensor_traits<std::remove_cvref_t<X>>::view(x).template span<T>();
}

LIMBECK_END_NAMESPACE

#endif
