#ifndef LIMBECK_BACKEND_XTENSOR_ROWS_HPP
#define LIMBECK_BACKEND_XTENSOR_ROWS_HPP

/// @file
/// xtensor containers, adaptors and strided views as rows: two dimensions, samples x classes, any strides.

#include <limbeck/backend/xtensor/pack.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

// xtensor 0.26 moved its headers
#if __has_include(<xtensor/containers/xtensor.hpp>)
#include <xtensor/containers/xtensor.hpp>
#else
#include <xtensor/xtensor.hpp>
#endif

#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Memory with strides: containers, adaptors, and views that still know their data.
template <class X>
concept xtensor_memory = std::is_base_of_v<xt::xexpression<X>, X> && requires(const X& x) {
  x.data();
  x.data_offset();
  x.strides();
  x.shape();
} && std::is_floating_point_v<typename X::value_type>;

template <class T, class X>
rows<T> view_xtensor(T* data, const X& x) {
  if (x.dimension() != 2)
    raise<shape_error>("limbeck: an xtensor argument has " + std::to_string(x.dimension()) +
                       " dimensions, expected 2 (samples x classes)");
  // a dimension of length one has stride 0 in xtensor; it is never stepped over
  return {data + x.data_offset(), static_cast<std::size_t>(x.shape()[0]), static_cast<std::size_t>(x.shape()[1]),
          static_cast<std::ptrdiff_t>(x.strides()[0]),
          x.shape()[1] == 1 ? 1 : static_cast<std::ptrdiff_t>(x.strides()[1])};
}

}  // namespace detail

template <detail::xtensor_memory Tensor>
struct tensor_traits<Tensor> {
  using scalar = typename Tensor::value_type;
  static constexpr bool is_view = !std::is_same_v<std::remove_cv_t<Tensor>, typename Tensor::temporary_type>;
  template <class T>
  using lanes = xsimd_lanes<T>;
  using sweep = host_rows;
  using gradient = xt::xtensor<scalar, 2>;

  static rows<const scalar> view(const Tensor& x) {
    return detail::view_xtensor<const scalar>(x.data(), x);
  }
  static auto view(Tensor& x) {
    return detail::view_xtensor<std::remove_reference_t<decltype(*x.data())>>(x.data(), x);
  }
  static gradient gradient_like(const Tensor& x) {
    return gradient(typename gradient::shape_type{static_cast<std::size_t>(x.shape()[0]),
                                                  static_cast<std::size_t>(x.shape()[1])});
  }
  static rows<scalar> view_gradient(gradient& g, const Tensor&) { return detail::view_xtensor<scalar>(g.data(), g); }
};

LIMBECK_END_NAMESPACE

#endif
