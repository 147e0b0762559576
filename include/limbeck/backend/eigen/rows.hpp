#ifndef LIMBECK_BACKEND_EIGEN_ROWS_HPP
#define LIMBECK_BACKEND_EIGEN_ROWS_HPP

/// @file
/// Eigen tensors as rows: matrices, arrays, maps, refs, blocks, transposes, of either storage order.
///
/// Matrix rows are samples and columns are classes; for the other way round pass `x.transpose()` or
/// `samples_in_columns(x)`. Where the classes of a sample are contiguous nothing is copied; otherwise a block of rows at a
/// time passes through the workspace.
///
/// The pack is the GNU vector of plain memory. An engine over `Eigen::Array<T, N, 1>` gave the same bits in more time, with
/// g++ 12 and with clang 14: in a kernel of this size the arrays do not stay in registers.

#include <limbeck/core/rows.hpp>

#include <Eigen/Core>

#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class X>
concept eigen_type = std::is_base_of_v<Eigen::EigenBase<X>, X>;
/// Memory with strides, not an expression still to be evaluated.
template <class X>
concept eigen_memory = eigen_type<X> && (X::Flags & Eigen::DirectAccessBit) != 0 &&
                       (std::is_floating_point_v<typename X::Scalar> || std::is_same_v<typename X::Scalar, Eigen::half> ||
                        std::is_same_v<typename X::Scalar, Eigen::bfloat16>);

/// The type of the same bits that Limbeck reads.
template <class T>
using eigen_element = std::conditional_t<std::is_same_v<T, Eigen::half>, float16,
                                         std::conditional_t<std::is_same_v<T, Eigen::bfloat16>, bfloat16, T>>;

template <class T, class X>
auto view_eigen(T* memory, const X& x) {
  using Element = eigen_element<std::remove_const_t<T>>;
  using Stored = std::conditional_t<std::is_const_v<T>, const Element, Element>;
  Stored* data;
  if constexpr (std::is_same_v<Stored, T>) {
    data = memory;
  } else {
    data = reinterpret_cast<Stored*>(memory);
  }
  const auto outer = static_cast<std::ptrdiff_t>(x.outerStride());
  const auto inner = static_cast<std::ptrdiff_t>(x.innerStride());
  return rows<Stored>(data, static_cast<std::size_t>(x.rows()), static_cast<std::size_t>(x.cols()),
                      X::IsRowMajor ? outer : inner, X::IsRowMajor ? inner : outer);
}

}  // namespace detail

template <detail::eigen_memory Tensor>
struct tensor_traits<Tensor> {
  using element = detail::eigen_element<typename Tensor::Scalar>;
  using scalar = arithmetic_of_t<element>;
  static constexpr bool is_view = !std::is_same_v<std::remove_cv_t<Tensor>, typename Tensor::PlainObject>;
  template <class T>
  using lanes = host_lanes<T>;
  using sweep = host_rows;
  /// A matrix with the storage order of the student.
  using gradient = Eigen::Matrix<typename Tensor::Scalar, Eigen::Dynamic, Eigen::Dynamic,
                                 Tensor::IsRowMajor ? Eigen::RowMajor : Eigen::ColMajor>;

  static rows<const element> view(const Tensor& x) { return detail::view_eigen(x.data(), x); }
  static auto view(Tensor& x) { return detail::view_eigen(x.data(), x); }
  static gradient gradient_like(const Tensor& x) { return gradient(x.rows(), x.cols()); }
  static rows<element> view_gradient(gradient& g, const Tensor&) { return detail::view_eigen(g.data(), g); }
};

LIMBECK_END_NAMESPACE

#endif
