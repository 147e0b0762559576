#ifndef LIMBECK_BACKEND_THRUST_DENSE_HPP
#define LIMBECK_BACKEND_THRUST_DENSE_HPP

/// @file
/// Matrix products in device memory: by a kernel of Limbeck's own, or by a library that the workspace was given.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/dense.hpp>

#include <cstddef>

#if !LIMBECK_ON_CUDA
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#endif

LIMBECK_BEGIN_NAMESPACE

/// A library's products on a device, for `device_workspace::use`: c = alpha a b + beta c on @p stream, a of n x k, b of
/// k x m, any strides; with beta = 0, c is not read. Returns false, and has done nothing, where the library has no such product:
/// Limbeck's kernel then takes it.
class device_products {
 public:
  /// In float.
  virtual bool multiply(float alpha, const rows<const float>& a, const rows<const float>& b, float beta, const rows<float>& c,
                        device_stream stream) = 0;
  /// In double.
  virtual bool multiply(double alpha, const rows<const double>& a, const rows<const double>& b, double beta,
                        const rows<double>& c, device_stream stream) = 0;

 protected:
  /// @cond
  device_products() = default;
  device_products(const device_products&) = default;
  device_products& operator=(const device_products&) = default;
  ~device_products() = default;
  /// @endcond
};

namespace detail {

#if LIMBECK_ON_CUDA

inline constexpr int product_side = 16;   // 16 x 16 threads a tile
inline constexpr int product_depth = 16;  // of the inner dimension at a time

/// Numbers (first + i, from + k) of @p x to @p tile, i below 16 Own and k below the depth, zeros where there are none.
/// Neighbouring threads read neighbours in memory, whichever way the rows lie.
template <int Own, class T>
__device__ void load_tile(const rows<const T>& x, std::size_t first, std::size_t from,
                          T (*tile)[product_side * Own + 1]) {
  constexpr int size = product_side * Own;
  const bool along = x.class_stride == 1 || x.sample_stride != 1;
  for (int e = static_cast<int>(threadIdx.x); e < size * product_depth; e += product_side * product_side) {
    const int i = along ? e / product_depth : e % size, k = along ? e % product_depth : e / size;
    const std::size_t r = first + static_cast<std::size_t>(i), c = from + static_cast<std::size_t>(k);
    tile[k][i] = r < x.samples && c < x.classes ? x(r, c) : T(0);
  }
}

/// A tile of 16 Own rows and columns of c a block, Own x Own numbers a thread. Every number is a sum over the inner dimension
/// in one order, so equal rows have equal products. @p b is given transposed.
template <int Own, class T>
__global__ void __launch_bounds__(product_side* product_side)
    product_tiles(T alpha, const __grid_constant__ rows<const T> a, const __grid_constant__ rows<const T> b, T beta,
                  const __grid_constant__ rows<T> c, unsigned tiles_across) {
  constexpr int size = product_side * Own;
  __shared__ T left[product_depth][size + 1], right[product_depth][size + 1];
  const std::size_t row = static_cast<std::size_t>(blockIdx.x / tiles_across) * size;
  const std::size_t column = static_cast<std::size_t>(blockIdx.x % tiles_across) * size;
  const int y = static_cast<int>(threadIdx.x) / product_side, x = static_cast<int>(threadIdx.x) % product_side;
  T sums[Own][Own] = {};
  for (std::size_t from = 0; from < a.classes; from += product_depth) {
    load_tile<Own>(a, row, from, left);
    load_tile<Own>(b, column, from, right);
    __syncthreads();
    for (int k = 0; k < product_depth; ++k) {
      T l[Own], r[Own];
      for (int i = 0; i < Own; ++i) l[i] = left[k][y + product_side * i], r[i] = right[k][x + product_side * i];
      for (int i = 0; i < Own; ++i)
        for (int j = 0; j < Own; ++j) sums[i][j] += l[i] * r[j];
    }
    __syncthreads();
  }
  for (int i = 0; i < Own; ++i)
    for (int j = 0; j < Own; ++j) {
      const std::size_t r = row + static_cast<std::size_t>(y + product_side * i);
      const std::size_t k = column + static_cast<std::size_t>(x + product_side * j);
      if (r >= c.samples || k >= c.classes) continue;
      T& to = c(r, k);
      to = beta == T(0) ? alpha * sums[i][j] : beta * to + alpha * sums[i][j];
    }
}

template <int Own, class T>
void launch_tiles(T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c, cudaStream_t stream) {
  constexpr std::size_t size = product_side * Own;
  const std::size_t down = (c.samples + size - 1) / size, across = (c.classes + size - 1) / size;
  product_tiles<Own><<<static_cast<unsigned>(down * across), product_side * product_side, 0, stream>>>(
      alpha, a, b.transposed(), beta, c, static_cast<unsigned>(across));
}

/// Limbeck's own kernel. Small products are cut into small tiles, so that they occupy more of the device.
template <class T>
void multiply_on_device(T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c,
                        device_stream stream) {
  if (c.samples == 0 || c.classes == 0) return;
  constexpr std::size_t many = 256 * 64 * 64;  // numbers of c from which on large tiles are enough for a large device
  if (c.samples * c.classes >= many) {
    launch_tiles<4>(alpha, a, b, beta, c, stream);
  } else {
    launch_tiles<2>(alpha, a, b, beta, c, stream);
  }
  require_success(cudaGetLastError(), "limbeck: launching a product");
}

#else

template <class T>
struct row_of_product {
  T alpha;
  rows<const T> a, b;
  T beta;
  rows<T> c;
  void operator()(std::size_t i) const {
    for (std::size_t j = 0; j < c.classes; ++j) {
      T total(0);
      for (std::size_t k = 0; k < a.classes; ++k) total += a(i, k) * b(k, j);
      c(i, j) = beta == T(0) ? alpha * total : beta * c(i, j) + alpha * total;
    }
  }
};

template <class T>
void multiply_on_device(T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c, device_stream) {
  const thrust::counting_iterator<std::size_t> first(0);
  thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(c.samples),
                   row_of_product<T>{alpha, a, b, beta, c});
}

#endif

}  // namespace detail

/// Products in device memory: `dense_primitives<T, device_memory>{ws.stream(), ws.products()}`.
template <class T>
struct dense_primitives<T, device_memory> {
  device_stream stream{};              ///< on which they run
  device_products* library = nullptr;  ///< who is asked first, if anybody

  /// c = alpha a b + beta c, a of n x k, b of k x m, any strides; with beta = 0, c is not read. c overlaps neither. Does not
  /// wait.
  void multiply(T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) const {
    if (library && library->multiply(alpha, a, b, beta, c, stream)) return;
    detail::multiply_on_device(alpha, a, b, beta, c, stream);
  }
};

LIMBECK_END_NAMESPACE

#endif
