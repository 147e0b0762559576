#ifndef LIMBECK_BACKEND_THRUST_AVERAGING_HPP
#define LIMBECK_BACKEND_THRUST_AVERAGING_HPP

/// @file
/// Averagers, restores and snapshots over device memory, on the device's default stream.

#include <limbeck/averaging/parameters.hpp>
#include <limbeck/backend/thrust/rows.hpp>

#include <thrust/copy.h>
#include <thrust/device_ptr.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/sort.h>
#include <thrust/transform.h>

#include <cmath>
#include <cstdint>
#include <ranges>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// @cond
// A device_span is a view: the memory outlives it.
template <class T>
inline constexpr bool std::ranges::enable_borrowed_range<limbeck::device_span<T>> = true;
/// @endcond

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct step_towards {
  T step;
  template <class U>
  LIMBECK_HOST_DEVICE T operator()(U from, T to) const {
    return to + step * (static_cast<T>(from) - to);
  }
};
template <class T>
struct copy_some_at {
  const T* from;
  T* to;
  std::uint64_t key;
  double rate;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const {
    random_stream random(key);
    random.skip(i);
    if (random.uniform() < rate) to[i] = from[i];
  }
};
template <class T>
struct copy_below_at {
  const T* from;
  T* to;
  const T* gradient;
  double threshold;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const {
    if (static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]) < threshold) to[i] = from[i];
  }
};
template <class T>
struct magnitude {
  LIMBECK_HOST_DEVICE T operator()(T x) const { return x < 0 ? -x : x; }
};
/// Ascending, NaN last.
template <class T>
struct before_nan {
  LIMBECK_HOST_DEVICE bool operator()(T a, T b) const { return a < b || (a == a && b != b); }
};

template <>
struct parameter_memory<device_memory> {
  template <class T>
  using storage = thrust::device_vector<T>;
  template <class T>
  using view = device_span<T>;
  template <class T>
  static T* data(thrust::device_vector<T>& v) {
    return thrust::raw_pointer_cast(v.data());
  }
  template <class T>
  static auto at(T* p) {
    return thrust::device_pointer_cast(p);
  }

  template <class U, class T>
  static void copy(const U* from, T* to, std::size_t n) {
    thrust::copy_n(thrust::device, at(from), n, at(to));
  }
  template <class T>
  static void to_host(const T* from, T* to, std::size_t n) {
    thrust::copy_n(at(from), n, to);
  }
  template <class U, class T>
  static void approach(const U* from, T* to, std::size_t n, T step) {
    thrust::transform(thrust::device, at(from), at(from) + static_cast<std::ptrdiff_t>(n), at(to), at(to),
                      step_towards<T>{step});
  }
  template <class T>
  static void copy_some(const T* from, T* to, std::size_t n, std::uint64_t key, double rate) {
    thrust::for_each_n(thrust::device, thrust::counting_iterator<std::size_t>(0), n,
                       copy_some_at<T>{from, to, key, rate});
  }
  template <class T>
  static void copy_below(const T* from, T* to, const T* gradient, std::size_t n, double threshold) {
    thrust::for_each_n(thrust::device, thrust::counting_iterator<std::size_t>(0), n,
                       copy_below_at<T>{from, to, gradient, threshold});
  }
  /// Sorts a copy of all magnitudes on the device.
  template <class T>
  static std::pair<double, double> magnitudes_at(const std::vector<std::span<const T>>& tensors, std::size_t rank,
                                                 workspace&) {
    thrust::device_vector<T> all(total_size(tensors));
    auto end = all.begin();
    for (const auto& t : tensors)
      end = thrust::transform(thrust::device, at(t.data()), at(t.data()) + static_cast<std::ptrdiff_t>(t.size()), end,
                              magnitude<T>{});
    thrust::sort(thrust::device, all.begin(), all.end(), before_nan<T>{});
    const T last = all.back();
    if (last != last) raise<value_error>("limbeck: a gradient is nan");
    const T low = all[rank];
    const T high = all[rank + 1 < all.size() ? rank + 1 : rank];
    return {low, high};
  }
  /// Through the host.
  template <class Archive, class T>
  static void serialize(Archive& archive, const std::string& name, std::span<T> tensor) {
    std::vector<T> staged(tensor.size());
    to_host(tensor.data(), staged.data(), staged.size());
    std::span<T> bytes(staged);
    archive(name.c_str(), bytes);
    thrust::copy_n(staged.data(), staged.size(), at(tensor.data()));
  }
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
