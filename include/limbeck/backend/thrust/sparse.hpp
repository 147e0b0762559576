#ifndef LIMBECK_BACKEND_THRUST_SPARSE_HPP
#define LIMBECK_BACKEND_THRUST_SPARSE_HPP

/// @file
/// Sparse teachers in device memory.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/target/sparse.hpp>

#include <thrust/device_vector.h>

#include <cstdint>
#include <span>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// Sparse rows in device memory: a copy of those of the host, on the device's default stream. It goes where a `sparse_store`
/// goes, into objectives whose student is on the device: `sparse_kl(rows)`.
template <class T>
class device_sparse_rows {
 public:
  /// Copies. @throws shape_error, value_error where the rows are inconsistent or no probabilities, see `sparse_rows`.
  explicit device_sparse_rows(const sparse_rows<T>& x) { copy(x); }
  /// The same.
  explicit device_sparse_rows(const sparse_store<T>& x) : device_sparse_rows(x.view()) {}
  /// Other rows, in the same memory where they fit. Views of the rows before are not valid after it.
  void copy(const sparse_rows<T>& x) {
    detail::check_sparse(x);
    offsets_.assign(x.offsets.begin(), x.offsets.end());
    ids_.assign(x.ids.begin(), x.ids.end());
    log_weights_.assign(x.log_weights.begin(), x.log_weights.end());
    log_tails_.assign(x.log_tails.begin(), x.log_tails.end());
    classes_ = x.classes;
    temperature_ = x.temperature;
    sampled_ = x.sampled;
  }
  /// Valid while this is and does not change.
  sparse_rows<T, device_memory> view() const& {
    return {classes_, span_of(offsets_), span_of(ids_), span_of(log_weights_), span_of(log_tails_), temperature_, sampled_};
  }
  sparse_rows<T, device_memory> view() && = delete;

 private:
  template <class U>
  static std::span<const U> span_of(const thrust::device_vector<U>& x) {
    return {thrust::raw_pointer_cast(x.data()), x.size()};
  }
  thrust::device_vector<std::uint64_t> offsets_;
  thrust::device_vector<std::int32_t> ids_;
  thrust::device_vector<T> log_weights_, log_tails_;
  std::size_t classes_ = 0;
  double temperature_ = 1;
  bool sampled_ = false;
};

/// @cond
template <class T>
inline constexpr bool is_sparse_store<device_sparse_rows<T>> = true;
/// @endcond

/// A store's rows, copied to the device. @throws as `device_sparse_rows`.
template <class T>
  requires(!std::is_const_v<T>)
device_sparse_rows<T> on_device(const sparse_store<T>& store) {
  return device_sparse_rows<T>(store);
}

LIMBECK_END_NAMESPACE

#endif
