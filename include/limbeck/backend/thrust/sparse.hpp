#ifndef LIMBECK_BACKEND_THRUST_SPARSE_HPP
#define LIMBECK_BACKEND_THRUST_SPARSE_HPP

/// @file
/// Sparse teachers in device memory.

#include <limbeck/backend/thrust/places.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/engine/team_row.hpp>
#include <limbeck/engine/top_classes.hpp>
#include <limbeck/target/sparse.hpp>

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/iterator/counting_iterator.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
template <class T>
struct top_of_device;
}  // namespace detail
/// @endcond

/// Sparse rows in device memory: a copy of those of the host, or what `keep_top` of a tensor there gives, on the device's
/// default stream. It goes where a `sparse_store` goes, into objectives whose student is on the device: `sparse_kl(rows)`.
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
  friend struct detail::top_of_device<T>;
  device_sparse_rows() = default;
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

/// @cond
namespace detail {
template <class Store>
struct scalar_of_store {};
template <class T>
struct scalar_of_store<sparse_store<T>> {
  using type = T;
};
}  // namespace detail
/// @endcond

/// A `sparse_store`'s rows, copied to the device. @throws as `device_sparse_rows`.
template <class Store, class T = typename detail::scalar_of_store<Store>::type>
device_sparse_rows<T> on_device(const Store& store) {
  return device_sparse_rows<T>(store);
}

/// @cond
namespace detail {

/// The k best of each row, into k places a row of which the first `counts[r]` are used.
template <class T>
struct keep_top_job {
  static constexpr std::uint64_t no_softmax = ~std::uint64_t{0};  // in the place of a count
  rows<const T> teacher;
  std::size_t k;
  T inverse_t;
  std::int32_t* ids;
  T *log_weights, *log_tails;
  std::uint64_t* counts;

  template <class Team>
  LIMBECK_HOST_DEVICE void row(const Team& team, std::size_t r, std::span<T> memory) const {
    const std::size_t n = teacher.classes;
    T* const z = memory.data();
    for_own<T>(team, n, [&](std::size_t c) { z[c] = teacher(r, c); });
    const auto all = exponentials_of(team, z, n, inverse_t, nullptr);
    if (!all.proper()) return;
    std::int32_t* const kept = ids + r * k;
    const picked<T> best = pick_highest(team, z, n, k, -infinite<T>,
                                        [&](std::size_t i, std::size_t c) { kept[i] = static_cast<std::int32_t>(c); });
    sort_row(team, kept, best.count, [](std::int32_t a, std::int32_t b) { return a < b; });
    const T log_z = std::log(all.sum);
    for_own<T>(team, best.count, [&](std::size_t i) {
      log_weights[r * k + i] = (z[static_cast<std::size_t>(kept[i])] - all.maximum) * inverse_t - log_z;
    });
    team.wait();
    for_own<T>(team, n, [&](std::size_t c) { z[c] = best.before(z[c], c) ? z[c] : -infinite<T>; });
    const auto rest = exponentials_of(team, z, n, inverse_t, nullptr);
    if (team.rank() > 0) return;
    log_tails[r] = rest.proper() ? (rest.maximum - all.maximum) * inverse_t + (std::log(rest.sum) - log_z) : -infinite<T>;
    counts[r] = best.count;
  }
};

struct used_place {
  const std::uint64_t* counts;
  std::size_t k;
  LIMBECK_HOST_DEVICE bool operator()(std::size_t place) const { return place % k < counts[place / k]; }
};

template <class T>
struct top_of_device {
  static device_sparse_rows<T> kept(const rows<const T>& teacher, std::size_t k, double temperature) {
    using job = keep_top_job<T>;
    const std::size_t samples = teacher.samples, places = samples * k;
    device_sparse_rows<T> out;
    out.classes_ = teacher.classes;
    out.temperature_ = temperature;
    thrust::device_vector<std::int32_t> ids(places);
    thrust::device_vector<T> log_weights(places);
    thrust::device_vector<std::uint64_t> counts(samples, job::no_softmax);
    out.log_tails_.resize(samples);
    const auto at = [](auto& x) { return thrust::raw_pointer_cast(x.data()); };
    device_workspace ws;
    run_rows<T>(job{teacher, k, static_cast<T>(1 / temperature), at(ids), at(log_weights), at(out.log_tails_), at(counts)},
                samples, teacher.classes, teacher.classes, ws);
    std::vector<std::uint64_t> offsets(samples + 1, 0);
    thrust::copy(counts.begin(), counts.end(), offsets.begin() + 1);
    for (std::size_t r = 0; r < samples; ++r) {
      if (offsets[r + 1] == job::no_softmax) throw_no_softmax("teacher", r);
      offsets[r + 1] += offsets[r];
    }
    out.offsets_.assign(offsets.begin(), offsets.end());
    if (offsets.back() < places) {  // rows with few classes that are not masked
      const auto only_used = [&](auto& x) {
        std::remove_reference_t<decltype(x)> used(static_cast<std::size_t>(offsets.back()));
        thrust::copy_if(thrust::device, x.begin(), x.end(), thrust::counting_iterator<std::size_t>(0), used.begin(),
                        used_place{at(counts), k});
        x = std::move(used);
      };
      only_used(ids);
      only_used(log_weights);
    }
    out.ids_ = std::move(ids);
    out.log_weights_ = std::move(log_weights);
    return out;
  }
};

}  // namespace detail
/// @endcond

/// `keep_top` of logits on the device: the sparse rows stay there. On the default stream; waits. A pass over the row for each
/// of the @p k, which is for tens.
/// @throws as `keep_top`.
template <class T>
  requires std::floating_point<std::remove_const_t<T>>
auto keep_top(const device_rows<T>& teacher, std::size_t k, double temperature = 1) {
  if (k == 0) raise<value_error>("limbeck: k is 0, expected at least 1");
  detail::check_positive("temperature", constant(temperature));
  const rows<const std::remove_const_t<T>> x = teacher.memory;
  return detail::top_of_device<std::remove_const_t<T>>::kept(x, (std::min)(k, x.classes), temperature);
}

LIMBECK_END_NAMESPACE

#endif
