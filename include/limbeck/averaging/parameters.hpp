#ifndef LIMBECK_AVERAGING_PARAMETERS_HPP
#define LIMBECK_AVERAGING_PARAMETERS_HPP

/// @file
/// Parameters of a network: one tensor, or any range of tensors, in memory that somebody else owns.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/quantile.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/core/stored_rows.hpp>
#include <limbeck/engine/instruction_set.hpp>
#include <limbeck/engine/stored_packs.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
template <class T>
inline constexpr bool is_half = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;
/// What can be averaged.
template <class T>
inline constexpr bool is_averaged = std::is_floating_point_v<T> || is_half<T>;
template <class V>
concept half_memory = requires(const V& v) {
  { v.data() };
  { v.size() };
} && is_half<std::remove_cvref_t<decltype(*std::declval<const V&>().data())>>;
}  // namespace detail

/// Contiguous elements of one arithmetic type, or `float16` or `bfloat16`: `std::vector`, `std::span`, an Eigen matrix,
/// an xtensor container, with `<limbeck/thrust.hpp>` a `thrust::device_vector` or a `device_span`. A tensor whose type is known at run time, such as a
/// `torch::Tensor`, is taken for one of float (of double pass its `as_span<double>`), and another one is refused by name.
template <class P>
concept parameter_tensor = !std::is_void_v<detail::vector_element_t<P>> || run_time_tensor<P> ||
                           detail::half_memory<std::remove_cvref_t<P>>;

namespace detail {

template <class R>
struct tensor_of_range {};
template <parameter_tensor R>
struct tensor_of_range<R> {
  using type = R;
};
template <class R>
  requires(!parameter_tensor<R> && requires(R & r) {
    { *std::begin(r) } -> parameter_tensor;
    std::end(r);
  })
struct tensor_of_range<R> {
  using type = std::remove_reference_t<decltype(*std::begin(std::declval<R&>()))>;
};
template <class R>
using tensor_of_range_t = typename tensor_of_range<std::remove_reference_t<R>>::type;

}  // namespace detail

/// A parameter_tensor, or a range of them: `std::vector<std::span<float>>`, `std::array<Eigen::MatrixXf, 4>`. One
/// element type for all; parameters of two types are two ranges.
template <class R>
concept parameter_range = requires {
  typename detail::tensor_of_range_t<R>;
};

namespace detail {

/// Refuses with a sentence what is not parameter_range.
template <class R, bool = parameter_range<R>>
struct parameters_of {
  using tensor = tensor_of_range_t<R>;
};
template <class R>
struct parameters_of<R, false> {
  static_assert(parameter_range<R>,
                "limbeck: these parameters are neither a tensor nor a range of tensors: contiguous elements of one "
                "arithmetic type (is the backend's header included?)");
  using tensor = std::span<float>;
};
template <class P>
struct parameter_element {
  using type = vector_element_t<P>;
};
template <run_time_tensor P>
struct parameter_element<P> {
  using type = float;
};
template <class P>
  requires half_memory<std::remove_cvref_t<P>>
struct parameter_element<P> {
  using type = std::remove_cvref_t<decltype(*std::declval<const P&>().data())>;
};
template <class R>
using parameter_t = typename parameter_element<typename parameters_of<R>::tensor>::type;
template <class R>
using parameter_memory_t = vector_memory_t<typename parameters_of<R>::tensor>;

/// Whether the elements of @p v, @p n of them, leave no gap.
template <class V>
bool is_contiguous(const V& v, std::size_t n) {
  if (n < 2) return true;
  if constexpr (requires { vector_element<std::remove_cv_t<V>>::stride(v); }) {
    return vector_element<std::remove_cv_t<V>>::stride(v) == 1;
  } else if constexpr (requires {
                         v.innerStride();
                         v.outerStride();
                         v.innerSize();
                         v.outerSize();
                       }) {
    return (v.innerStride() == 1 || v.innerSize() == 1) && (v.outerStride() == v.innerSize() || v.outerSize() == 1);
  } else if constexpr (requires {
                         v.data_offset();
                         v.strides();
                         v.shape();
                       }) {
    std::ptrdiff_t last = 0;  // where the last element stands
    for (std::size_t i = 0; i < v.shape().size(); ++i)
      last += (static_cast<std::ptrdiff_t>(v.shape()[i]) - 1) * static_cast<std::ptrdiff_t>(v.strides()[i]);
    return last + 1 == static_cast<std::ptrdiff_t>(n);
  } else {
    return true;
  }
}

/// The elements of @p tensor, number @p index of its range; on a device the pointer is the device's.
template <class T, class V>
auto flat_view(V& tensor, const char* what, std::size_t index) {
  if constexpr (run_time_tensor<V>) {
    const std::string name = std::string(what) + ' ' + std::to_string(index);
    return any_tensor_traits<std::remove_cv_t<V>>::view(tensor).template span<T>(name.c_str());
  } else {
    const auto memory = vector_memory(tensor);
    if (!is_contiguous(tensor, memory.size))
      raise<shape_error>(std::string("limbeck: ") + what + " " + std::to_string(index) + " is not contiguous");
    return std::span(memory.data, memory.size);
  }
}
/// Whether the tensors of a range are for reading only, as their type says.
template <class V>
constexpr bool is_constant_tensor() {
  if constexpr (run_time_tensor<V>) return false;
  else return std::is_const_v<std::remove_pointer_t<decltype(vector_memory(std::declval<V&>()).data)>>;
}
/// Whether a copy of a tensor keeps its memory alive.
template <class V>
constexpr bool shares_memory() {
  if constexpr (requires { any_tensor_traits<std::remove_cv_t<V>>::shares_memory; })
    return any_tensor_traits<std::remove_cv_t<V>>::shares_memory;
  else return false;
}

/// Hands a view of each tensor of @p range, whose elements are T, const or not, to @p f.
template <class T, class R, class F>
void for_each_view(R&& range, const char* what, F f) {
  if constexpr (parameter_tensor<R>) {
    f(std::span<T>(flat_view<T>(range, what, 0)));
  } else {
    std::size_t index = 0;
    for (auto&& tensor : range) f(std::span<T>(flat_view<T>(tensor, what, index++)));
  }
}

/// @throws shape_error unless each tensor of @p views has the size of its counterpart in @p expected.
template <class Views, class Expected>
void require_same_shapes(const Views& views, const Expected& expected, const char* what, const char* like) {
  if (views.size() != expected.size())
    raise<shape_error>("limbeck: " + std::to_string(views.size()) + " tensors of " + what + ", expected " +
                       std::to_string(expected.size()) + " (" + like + ")");
  for (std::size_t i = 0; i < views.size(); ++i)
    if (views[i].size() != expected[i].size())
      throw_length(std::string(what) + " tensor " + std::to_string(i), views[i].size(), expected[i].size(), like);
}

/// @throws value_error at the first number of @p student, whose elements are T, that is not finite.
template <class T, class R>
void check_finite_parameters(const R& student) {
  std::size_t index = 0;
  for_each_view<const T>(student, "parameter tensor", [&](std::span<const T> x) {
    arithmetic_of_t<T> sum(0);  // of zeros, and NaN where there is anything else
    for (const T v : x) sum += v - v;
    for (std::size_t k = 0; k < x.size() && sum != 0; ++k)
      if (!(x[k] - x[k] == 0))
        raise<value_error>("limbeck: parameter tensor " + std::to_string(index) + " is " + show(static_cast<double>(x[k])) +
                           " at element " + std::to_string(k) + ", expected a finite number; the average is as it was");
    ++index;
  });
}

template <class T>
std::size_t total_size(const std::vector<std::span<T>>& views) {
  std::size_t n = 0;
  for (const auto& v : views) n += v.size();
  return n;
}

[[noreturn]] inline void throw_nan_gradient(std::size_t tensor, std::size_t element) {
  raise<value_error>("limbeck: gradient tensor " + std::to_string(tensor) + " is nan at element " + std::to_string(element));
}

/// The operations on parameters, for memory of one kind. A backend with memory of its own specialises it.
template <class Memory>
struct parameter_memory {
  static_assert(std::is_same_v<Memory, host_rows>, "limbeck: parameters on a device need <limbeck/thrust.hpp>");
  template <class T>
  using storage = std::vector<T>;
  template <class T>
  using view = std::span<T>;
  static constexpr std::size_t piece = 64;  ///< loops of a fixed length, over memory of their own, are taken in packs
  template <class T>
  static T* data(std::vector<T>& v) {
    return v.data();
  }

  template <class U, class T>
  static void copy(const U* from, T* to, std::size_t n) {
    if constexpr (std::is_same_v<U, T> || !is_half<U>) {
      std::copy_n(from, n, to);
    } else {
      widen(from, n, to);
    }
  }
  template <class T>
  static void to_host(const T* from, T* to, std::size_t n) {
    std::copy_n(from, n, to);
  }
  /// to += step (from - to): exact where both agree, unlike the sum of two products.
  template <class U, class T>
  static void approach(const U* __restrict from, T* __restrict to, std::size_t n, arithmetic_of_t<T> step) {
    if constexpr (is_half<T>) {
      approach_with_rest<U, T>(from, to, nullptr, n, step);
    } else {
      dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
        T x[piece]{}, y[piece]{};
        const auto move = [&](std::size_t i, auto count) LIMBECK_LAMBDA_INLINE {
          numbers<Isa>(from + i, count, x);
          std::memcpy(y, to + i, count * sizeof(T));
          for (std::size_t k = 0; k < piece; ++k) y[k] += step * (x[k] - y[k]);
          std::memcpy(to + i, y, count * sizeof(T));
        };
        std::size_t i = 0;
        for (; i + piece <= n; i += piece) move(i, std::integral_constant<std::size_t, piece>{});
        if (i < n) move(i, n - i);
      });
    }
  }
  /// The same of the sum of @p to and @p rest, what rounding has taken off @p to so far (Kahan); null: it is dropped.
  template <class U, class T>
  static void approach_with_rest(const U* from, T* to, arithmetic_of_t<T>* rest, std::size_t n,
                                 arithmetic_of_t<T> step) {
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE { approach_in_pieces<Isa>(from, to, rest, n, step); });
  }
  template <class Isa, class U, class T>
  LIMBECK_INLINE static void approach_in_pieces(const U* from, T* to, arithmetic_of_t<T>* rest, std::size_t n,
                                                arithmetic_of_t<T> step) {
    using A = arithmetic_of_t<T>;
    // What is more than half a step of the number it stands beside was kept of another, which is no longer there.
    constexpr int digits = std::is_same_v<T, bfloat16> ? 8 : std::is_same_v<T, float16> ? 11 : std::numeric_limits<A>::digits;
    constexpr A half_step = A(1) / static_cast<A>(std::uint64_t{1} << digits);
    A x[piece]{}, high[piece]{}, low[piece]{}, sum[piece]{};
    for (std::size_t i = 0; i < n; i += piece) {
      const std::size_t count = n - i < piece ? n - i : piece;  // no reference to a constant that nvcc lacks on the device
      numbers<Isa>(from + i, count, x);
      numbers<Isa>(to + i, count, high);
      if (rest) std::copy_n(rest + i, count, low);
      for (std::size_t k = 0; k < piece; ++k) low[k] = std::abs(low[k]) <= half_step * std::abs(high[k]) ? low[k] : A(0);
      for (std::size_t k = 0; k < piece; ++k) low[k] += step * ((x[k] - high[k]) - low[k]);
      for (std::size_t k = 0; k < piece; ++k) sum[k] = high[k] + low[k];
      if constexpr (std::is_same_v<A, T>) {
        std::memcpy(to + i, sum, count * sizeof(T));
      } else {
        narrow_packs<Isa>(sum, count, to + i);
        widen_packs<Isa>(to + i, count, sum);
      }
      for (std::size_t k = 0; k < piece; ++k) low[k] = rest ? (high[k] - sum[k]) + low[k] : A(0);
      if (rest) std::copy_n(low, count, rest + i);
    }
  }
  /// @p n numbers in the type that is computed in.
  template <class Isa, class U, class A>
  LIMBECK_INLINE static void numbers(const U* from, std::size_t n, A* to) {
    if constexpr (std::is_same_v<A, U>) {
      std::memcpy(to, from, n * sizeof(A));
    } else if constexpr (std::is_same_v<A, float> && is_half<U>) {
      widen_packs<Isa>(from, n, to);
    } else {
      for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<A>(from[i]);
    }
  }
  /// Element i with the probability @p rate, by the i-th number of the stream @p key.
  template <class T>
  static void copy_some(const T* from, T* to, std::size_t n, std::uint64_t key, double rate) {
    random_stream random(key);
    for (std::size_t i = 0; i < n; ++i)
      if (random.uniform() < rate) to[i] = from[i];
  }
  /// Where the square of the gradient is below @p threshold.
  template <class T>
  static void copy_below(const T* from, T* to, const T* gradient, std::size_t n, double threshold) {
    for (std::size_t i = 0; i < n; ++i)
      if (static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]) < threshold) to[i] = from[i];
  }
  /// The magnitudes of rank @p rank and rank + 1 (the last one twice) in the union of @p tensors, smallest first.
  template <class T>
  static std::pair<double, double> magnitudes_at(const std::vector<std::span<const T>>& tensors, std::size_t rank,
                                                 workspace& memory) {
    scratch room(memory);
    const std::span<T> all = room.take<T>(total_size(tensors));
    T* end = all.data();
    for (std::size_t t = 0; t < tensors.size(); ++t)
      for (std::size_t i = 0; i < tensors[t].size(); ++i) {
        const T magnitude = std::fabs(tensors[t][i]);
        if (magnitude != magnitude) throw_nan_gradient(t, i);
        *end++ = magnitude;
      }
    return order_statistics(all, rank);
  }
  template <class Archive, class T>
  static void serialize(Archive& archive, const std::string& name, std::span<T> tensor) {
    if constexpr (is_half<T>) {
      std::span<std::uint16_t> bits(tensor.empty() ? nullptr : &tensor.data()->bits, tensor.size());
      archive(name.c_str(), bits);
    } else {
      archive(name.c_str(), tensor);
    }
  }
};

/// The elements of @p range as T, which is const for an input.
template <class T, class R>
std::vector<std::span<T>> views_of(R&& range, const char* what) {
  static_assert(std::is_same_v<parameter_t<R>, std::remove_const_t<T>>,
                "limbeck: parameters, source and gradients hold one element type");
  std::vector<std::span<T>> views;
  for_each_view<T>(range, what, [&](std::span<T> x) { views.push_back(x); });
  return views;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
