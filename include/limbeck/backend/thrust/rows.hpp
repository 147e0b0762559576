#ifndef LIMBECK_BACKEND_THRUST_ROWS_HPP
#define LIMBECK_BACKEND_THRUST_ROWS_HPP

/// @file
/// Device memory as rows: `thrust::device_vector`, `thrust::device_ptr` and raw device pointers.
///
/// Thrust has no matrices, so the shape is said by the caller: `on_device(vector, samples, classes)`. Labels, weights and
/// masks are device vectors as they are, or `device_span(pointer, size)`. Host and device memory cannot be mixed in a
/// call; the compiler says so. A `thrust::host_vector` is ordinary memory: `on_host(vector, samples, classes)`.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/stored_rows.hpp>

#include <thrust/device_vector.h>
#include <thrust/host_vector.h>
#if LIMBECK_ON_CUDA
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// A view of samples x classes in device memory: `rows<T>` with a device pointer. @p T is const for an input.
template <class T>
struct device_rows {
  using element = T;  ///< float or double, float16 or bfloat16, const for an input
  rows<T> memory;     ///< pointer, shape and strides; the pointer is the device's

  /// Contiguous, one row after the other.
  device_rows(T* device_pointer, std::size_t samples, std::size_t classes) : memory(device_pointer, samples, classes) {}
  /// Strided: distances in elements between samples and between classes.
  device_rows(T* device_pointer, std::size_t samples, std::size_t classes, std::ptrdiff_t between_samples,
              std::ptrdiff_t between_classes = 1)
      : memory(device_pointer, samples, classes, between_samples, between_classes) {}
};

/// A vector in device memory by its raw pointer: labels, weights, masks, temperatures, or an output.
template <class T>
class device_span {
 public:
  /// @p stride is the distance in elements between neighbours.
  device_span(T* device_pointer, std::size_t size, std::ptrdiff_t stride = 1)
      : data_(device_pointer), size_(size), stride_(stride) {}
  T* data() const { return data_; }  ///< on the device
  std::size_t size() const { return size_; }  ///< number of elements
  std::ptrdiff_t stride() const { return stride_; }  ///< in elements

 private:
  T* data_;
  std::size_t size_;
  std::ptrdiff_t stride_;
};

namespace detail {

inline void require_size(std::size_t size, std::size_t samples, std::size_t classes) {
  if (size != samples * classes)
    raise<shape_error>("limbeck: a vector of " + std::to_string(size) + " elements is not " + std::to_string(samples) +
                       " x " + std::to_string(classes) + " (samples x classes)");
}

template <class T, class A>
struct vector_element<thrust::device_vector<T, A>> {
  using type = T;
  using memory = device_memory;
  static T* data(thrust::device_vector<T, A>& v) { return thrust::raw_pointer_cast(v.data()); }
  static const T* data(const thrust::device_vector<T, A>& v) { return thrust::raw_pointer_cast(v.data()); }
};
template <class T>
struct vector_element<device_span<T>> {
  using type = std::remove_const_t<T>;
  using memory = device_memory;
  static T* data(const device_span<T>& v) { return v.data(); }
  static std::ptrdiff_t stride(const device_span<T>& v) { return v.stride(); }
};

}  // namespace detail

/// @cond
namespace detail {

/// The element type by Limbeck's name: CUDA's own numbers of 16 bits are the same bits.
template <class T>
struct device_element {
  using type = T;
};
template <class T>
struct device_element<const T> {
  using type = const typename device_element<T>::type;
};
#if LIMBECK_ON_CUDA
template <>
struct device_element<__half> {
  using type = float16;
};
template <>
struct device_element<__nv_bfloat16> {
  using type = bfloat16;
};
#endif
template <class T>
using device_element_t = typename device_element<T>::type;
template <class T>
device_rows<device_element_t<T>> device_rows_at(T* p, std::size_t samples, std::size_t classes) {
  return {reinterpret_cast<device_element_t<T>*>(p), samples, classes};
}

}  // namespace detail
/// @endcond

/// The rows of a device vector of float, double, float16 or bfloat16, under nvcc also of `__half` or `__nv_bfloat16`.
/// @throws shape_error where its size is not samples x classes.
template <class T, class A>
auto on_device(const thrust::device_vector<T, A>& v, std::size_t samples, std::size_t classes) {
  detail::require_size(v.size(), samples, classes);
  return detail::device_rows_at(thrust::raw_pointer_cast(v.data()), samples, classes);
}
/// The same, to write to.
template <class T, class A>
auto on_device(thrust::device_vector<T, A>& v, std::size_t samples, std::size_t classes) {
  detail::require_size(v.size(), samples, classes);
  return detail::device_rows_at(thrust::raw_pointer_cast(v.data()), samples, classes);
}
template <class T, class A>
void on_device(thrust::device_vector<T, A>&&, std::size_t, std::size_t) = delete;
/// The rows behind a device pointer.
template <class T>
auto on_device(thrust::device_ptr<T> p, std::size_t samples, std::size_t classes) {
  return detail::device_rows_at(thrust::raw_pointer_cast(p), samples, classes);
}

/// @cond
namespace detail {
inline constexpr memory_kind kind_of_device = LIMBECK_ON_CUDA ? memory_kind::cuda : memory_kind::host;
template <>
inline constexpr memory_kind kind_of_memory<device_memory> = kind_of_device;
}  // namespace detail
/// @endcond

/// The rows of a tensor on the device whose type is known at run time, DLPack's or LibTorch's: `on_device<const float>(x)`.
/// Thrust's host systems take tensors of the host. @throws value_error, shape_error as `any_tensor::rows`.
template <class T, run_time_tensor X>
device_rows<T> on_device(const X& x) {
  const rows<T> view = any_tensor_traits<X>::view(x).template rows<T>("tensor", detail::kind_of_device);
  return {view.data, view.samples, view.classes, view.sample_stride, view.class_stride};
}
/// Its elements in order: labels, weights, masks, outputs. `on_device_span<const std::int64_t>(labels)`.
/// @throws value_error, shape_error as `any_tensor::span`.
template <class T, run_time_tensor X>
device_span<T> on_device_span(const X& x) {
  const std::span<T> view = any_tensor_traits<X>::view(x).template span<T>("tensor", detail::kind_of_device);
  return {view.data(), view.size()};
}

/// The rows of a host vector, swept by host threads.
template <class T, class A>
rows<const T> on_host(const thrust::host_vector<T, A>& v, std::size_t samples, std::size_t classes) {
  detail::require_size(v.size(), samples, classes);
  return {thrust::raw_pointer_cast(v.data()), samples, classes};
}
/// The same, to be written.
template <class T, class A>
rows<T> on_host(thrust::host_vector<T, A>& v, std::size_t samples, std::size_t classes) {
  detail::require_size(v.size(), samples, classes);
  return {thrust::raw_pointer_cast(v.data()), samples, classes};
}
template <class T, class A>
void on_host(thrust::host_vector<T, A>&&, std::size_t, std::size_t) = delete;

template <class T>
struct tensor_traits<device_rows<T>> {
  static constexpr bool is_view = true;
  using element = std::remove_const_t<T>;
  using scalar = arithmetic_of_t<element>;
  template <class S>
  using lanes = scalar_lanes<S>;
  using sweep = device_memory;
  /// The gradient of the convenience form: contiguous, samples x classes.
  using gradient = thrust::device_vector<element>;

  static rows<T> view(const device_rows<T>& x) { return x.memory; }
  static gradient gradient_like(const device_rows<T>& x) { return gradient(x.memory.samples * x.memory.classes); }
  static rows<element> view_gradient(gradient& g, const device_rows<T>& x) {
    return {thrust::raw_pointer_cast(g.data()), x.memory.samples, x.memory.classes};
  }
};

/// @cond
namespace detail {

/// A tensor on the device whose type is known at run time, in a call that computes in T.
template <class T>
struct stored_device_rows {
  stored_rows<T> memory;
};
template <class T>
struct stored_tensor<T, device_memory> {
  using type = stored_device_rows<T>;
};

}  // namespace detail

template <class T>
struct tensor_traits<detail::stored_device_rows<T>> {
  static constexpr bool is_view = true;
  using scalar = std::remove_const_t<T>;
  template <class S>
  using lanes = scalar_lanes<S>;
  using sweep = device_memory;
  using gradient = thrust::device_vector<scalar>;

  static stored_rows<T> view(const detail::stored_device_rows<T>& x) { return x.memory; }
  static gradient gradient_like(const detail::stored_device_rows<T>& x) {
    return gradient(x.memory.samples * x.memory.classes);
  }
  static rows<scalar> view_gradient(gradient& g, const detail::stored_device_rows<T>& x) {
    return {thrust::raw_pointer_cast(g.data()), x.memory.samples, x.memory.classes};
  }
};
/// @endcond

LIMBECK_END_NAMESPACE

#endif
