#ifndef LIMBECK_BACKEND_THRUST_CUBLAS_HPP
#define LIMBECK_BACKEND_THRUST_CUBLAS_HPP

/// @file
/// Matrix products in device memory by cuBLAS.

#include <limbeck/backend/thrust/dense.hpp>

#if !LIMBECK_ON_CUDA
#error "limbeck: cuBLAS multiplies on CUDA; compile this file with nvcc, without THRUST_DEVICE_SYSTEM"
#endif

#include <cublas_v2.h>

#include <limits>
#include <stdexcept>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Products by cuBLAS, for as long as workspaces use it: `cublas_products blas; ws.use(blas);`. Link with `-lcublas`.
///
/// Takes what cuBLAS can express, matrices of which one stride is 1; Limbeck's kernel takes the rest. One object serves one
/// call at a time, on any stream.
/// @throws std::runtime_error where cuBLAS reports an error.
class cublas_products final : public device_products {
 public:
  /// With a handle of its own.
  cublas_products() : own_(true) { require(cublasCreate(&handle_)); }
  /// With @p handle, which outlives it; its stream is set by each call, its math and pointer mode are left as they are.
  explicit cublas_products(cublasHandle_t handle) : handle_(handle) {}
  cublas_products(const cublas_products&) = delete;
  cublas_products& operator=(const cublas_products&) = delete;
  ~cublas_products() {
    if (own_) (void)cublasDestroy(handle_);
  }

  bool multiply(float alpha, const rows<const float>& a, const rows<const float>& b, float beta, const rows<float>& c,
                device_stream stream) override {
    return product(&cublasSgemm, alpha, a, b, beta, c, stream);
  }
  bool multiply(double alpha, const rows<const double>& a, const rows<const double>& b, double beta, const rows<double>& c,
                device_stream stream) override {
    return product(&cublasDgemm, alpha, a, b, beta, c, stream);
  }

 private:
  /// A matrix as cuBLAS sees it, by columns: rows of which the numbers are neighbours are its columns.
  struct operand {
    cublasOperation_t turned = CUBLAS_OP_N;
    int apart = 0;  // 0: cuBLAS has no words for it
  };
  template <class T>
  static operand see(const rows<T>& x) {
    const operand plain{CUBLAS_OP_N, x.class_stride == 1 ? distance(x.sample_stride, x.classes) : 0};
    if (plain.apart != 0 || x.sample_stride != 1) return plain;
    return {CUBLAS_OP_T, distance(x.class_stride, x.samples)};
  }
  static int distance(std::ptrdiff_t stride, std::size_t length) {
    return stride >= static_cast<std::ptrdiff_t>(length) && stride > 0 && stride <= (std::numeric_limits<int>::max)()
               ? static_cast<int>(stride)
               : 0;
  }

  template <class Gemm, class T>
  bool product(Gemm gemm, T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c,
               device_stream stream) {
    if (c.class_stride != 1)
      return c.sample_stride == 1 && product(gemm, alpha, b.transposed(), a.transposed(), beta, c.transposed(), stream);
    constexpr auto most = static_cast<std::size_t>((std::numeric_limits<int>::max)());
    const auto takes = [](std::size_t size) { return size > 0 && size <= most; };
    const bool sized = takes(c.samples) && takes(c.classes) && takes(a.classes);
    const operand left = see(a), right = see(b), out = see(c);
    if (!sized || left.apart == 0 || right.apart == 0 || out.apart == 0) return false;
    require(cublasSetStream(handle_, stream));
    // the factors are the host's, and distances need all digits of a product, whatever the handle's owner has chosen
    cublasPointerMode_t pointers;
    cublasMath_t math;
    require(cublasGetPointerMode(handle_, &pointers));
    require(cublasGetMathMode(handle_, &math));
    require(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_HOST));
    require(cublasSetMathMode(handle_, CUBLAS_DEFAULT_MATH));
    const cublasStatus_t done =
        gemm(handle_, right.turned, left.turned, static_cast<int>(c.classes), static_cast<int>(c.samples),
             static_cast<int>(a.classes), &alpha, b.data, right.apart, a.data, left.apart, &beta, c.data, out.apart);
    require(cublasSetMathMode(handle_, math));
    require(cublasSetPointerMode(handle_, pointers));
    require(done);
    return true;
  }
  static void require(cublasStatus_t status) {
    if (status != CUBLAS_STATUS_SUCCESS)
      throw std::runtime_error(std::string("limbeck: cuBLAS: ") + cublasGetStatusString(status));
  }

  cublasHandle_t handle_ = nullptr;
  bool own_ = false;
};

LIMBECK_END_NAMESPACE

#endif
