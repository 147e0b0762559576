#ifndef LIMBECK_TESTS_SUPPORT_RELATION_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_RELATION_CASES_HPP

// Products, and losses between samples and layers, over device memory and over plain memory. No test framework, as in
// device_cases.hpp.

#include "device_cases.hpp"

#include <limbeck/backend/thrust/dense.hpp>

namespace limbeck_test {

/// alpha a b + beta c for every order of strides, and sizes around those of tiles, against sums in double.
template <class T>
complaints compare_products(lk::device_products* library = nullptr) {
  complaints out;
  lk::device_workspace ws;
  if (library) ws.use(*library);
  const lk::dense_primitives<T, lk::device_memory> dense{ws.stream(), ws.products()};
  const std::size_t sizes[][3] = {{1, 1, 1}, {3, 5, 2}, {32, 16, 33}, {70, 0, 9}, {67, 129, 40}, {1100, 20, 1000}};
  for (const auto& size : sizes) {
    const std::size_t n = size[0], k = size[1], m = size[2];
    const auto left = random_batch<T>(n, k + 1, 1), right = random_batch<T>(k + 1, m, 2), before = random_batch<T>(n, m, 3);
    const auto da = to_device(left.student), db = to_device(right.student);
    for (int turned = 0; turned < 8; ++turned) {
      if (n > 1000 && turned != 0 && turned != 5) continue;
      const auto view = [&]<class E>(E* p, bool other, std::size_t r, std::size_t c) {
        return other ? lk::rows<E>(p, c, r).transposed() : lk::rows<E>(p, r, c);
      };
      const auto a = view(thrust::raw_pointer_cast(da.data()), (turned & 1) != 0, n, k);
      const auto b = view(thrust::raw_pointer_cast(db.data()), (turned & 2) != 0, k, m);
      const lk::rows<const T> ha = view(left.student.data(), (turned & 1) != 0, n, k);
      const lk::rows<const T> hb = view(right.student.data(), (turned & 2) != 0, k, m);
      for (const T beta : {T(0), T(-0.5)}) {
        std::vector<T> c = before.student;
        if (beta == T(0)) std::fill(c.begin(), c.end(), std::numeric_limits<T>::quiet_NaN());  // not read
        auto dc = to_device(c);
        dense.multiply(T(1.5), a, b, beta, view(thrust::raw_pointer_cast(dc.data()), (turned & 4) != 0, n, m));
        std::vector<T> got = to_host(dc);
        const lk::rows<T> gotten = view(got.data(), (turned & 4) != 0, n, m), old = view(c.data(), (turned & 4) != 0, n, m);
        bool right_everywhere = true;
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < m; ++j) {
            double sum = 0, size_of_sum = 1;
            for (std::size_t l = 0; l < k; ++l) {
              const double term = 1.5 * static_cast<double>(ha(i, l)) * static_cast<double>(hb(l, j));
              sum += term, size_of_sum += std::abs(term);
            }
            if (beta != T(0)) sum += static_cast<double>(beta * old(i, j));
            right_everywhere = right_everywhere && near<T>(sum, static_cast<double>(gotten(i, j)), size_of_sum, 8);
          }
        if (!right_everywhere)
          out.push_back("product " + std::to_string(n) + " x " + std::to_string(k) + " x " + std::to_string(m) + ", turned " +
                        std::to_string(turned) + ", beta " + std::to_string(static_cast<double>(beta)));
      }
    }
  }
  return out;
}

}  // namespace limbeck_test

#endif
