#ifndef LIMBECK_BACKEND_THRUST_PROBABILITIES_HPP
#define LIMBECK_BACKEND_THRUST_PROBABILITIES_HPP

/// @file
/// Pools of probabilities on a device: `softmax_of(on_device(logits, n, c))`. The numbers are those of
/// selection/pcoreset.hpp as far as the two exponential functions agree. Unlike there they are computed at once and kept,
/// for a device reads its pool once a choice.

#include <limbeck/backend/thrust/metric.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/selection/pcoreset.hpp>

#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/find.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/transform.h>

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A pool of probabilities in device memory that it owns.
template <class T>
struct device_probabilities {
  thrust::device_vector<T> memory;  ///< one row after the other
  std::size_t samples;              ///< rows
  std::size_t classes;              ///< columns
};

template <class T>
struct tensor_traits<device_probabilities<T>> {
  using scalar = T;
  template <class S>
  using lanes = scalar_lanes<S>;
  using sweep = device_memory;
  static rows<const T> view(const device_probabilities<T>& p) {
    return {thrust::raw_pointer_cast(p.memory.data()), p.samples, p.classes};
  }
};

namespace detail {

/// The softmax of row r at a temperature, in the order of softmax_below(); fine[r] is 0 where it has none.
template <class T>
struct softmax_of_row {
  rows<const T> logits;
  double temperature;
  T* out;
  unsigned char* fine;
  LIMBECK_HOST_DEVICE T logit(std::size_t r, std::size_t c) const {
    return static_cast<T>(static_cast<double>(logits(r, c)) / temperature);
  }
  LIMBECK_HOST_DEVICE void operator()(std::size_t r) const {
    T top = logit(r, 0);
    bool numbers = true;
    for (std::size_t c = 0; c < logits.classes; ++c) {
      const T x = logit(r, c);
      numbers = numbers && x == x;
      top = x > top ? x : top;
    }
    fine[r] = numbers && top - top == 0;
    if (!fine[r]) return;
    const double highest = static_cast<double>(top);
    double total = 0;
    for (std::size_t c = 0; c < logits.classes; ++c) total += std::exp(static_cast<double>(logit(r, c)) - highest);
    for (std::size_t c = 0; c < logits.classes; ++c)
      out[r * logits.classes + c] = static_cast<T>(std::exp(static_cast<double>(logit(r, c)) - highest) / total);
  }
};

struct is_not_fine {
  LIMBECK_HOST_DEVICE bool operator()(unsigned char fine) const { return fine == 0; }
};

/// (1 - share) a + share b.
template <class T>
struct mix_of_heads {
  double share;
  LIMBECK_HOST_DEVICE T operator()(T a, T b) const {
    return static_cast<T>(rounded_product(1 - share, static_cast<double>(a)) + rounded_product(share, static_cast<double>(b)));
  }
};

/// See softmax_of().
template <class T>
device_probabilities<T> softmax_on_device(const rows<const T>& logits, double temperature) {
  check_softmax_temperature(temperature);
  const std::size_t n = logits.samples, columns = logits.classes;
  device_probabilities<T> p{thrust::device_vector<T>(n * columns), n, columns};
  if (n * columns == 0) return p;
  thrust::device_vector<unsigned char> fine(n);
  const softmax_of_row<T> softmax{logits, temperature, thrust::raw_pointer_cast(p.memory.data()),
                                  thrust::raw_pointer_cast(fine.data())};
  thrust::for_each_n(thrust::device, thrust::counting_iterator<std::size_t>(0), n, softmax);
  const auto bad = thrust::find_if(thrust::device, fine.begin(), fine.end(), is_not_fine{});
  if (bad != fine.end()) {  // the host says what is wrong with it
    const auto r = static_cast<std::size_t>(bad - fine.begin());
    std::vector<T> row = fetch_row(logits, r);
    for (T& x : row) x = static_cast<T>(static_cast<double>(x) / temperature);
    std::vector<double> unused(columns);
    softmax_into(std::span<const T>(row), std::span<double>(unused), r);
  }
  return p;
}

/// See mixed_heads(): @p a becomes the mix.
template <class T>
device_probabilities<T> mixed_on_device(device_probabilities<T> a, const device_probabilities<T>& b, double share) {
  check_heads(share, a.samples, a.classes, b.samples, b.classes);
  thrust::transform(thrust::device, a.memory.begin(), a.memory.end(), b.memory.begin(), a.memory.begin(),
                    mix_of_heads<T>{share});
  return a;
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
