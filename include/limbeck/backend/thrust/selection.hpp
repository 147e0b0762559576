#ifndef LIMBECK_BACKEND_THRUST_SELECTION_HPP
#define LIMBECK_BACKEND_THRUST_SELECTION_HPP

/// @file
/// Selectors over pools on a device: `k_center{}(on_device(features, n, d), query)` and its like. The pool stays there; row
/// numbers come back, those that the host would choose.
///
/// Vectors that a selector reads (scores, weights, `query::labels`) lie where the pool does; `query::labelled` is on the host.
/// Calls run on the device's default stream and wait.
///
/// - k_center, pcoreset: distances are the host's in this file, bit for bit, and so are the choices.
/// - softmax_of, mixed_heads: probabilities kept on the device, the host's but for the last digit of an exponential.
/// - by_highest, by_lowest, top_k, bottom_k of a vector: the same order.
/// - by_highest, by_lowest of a signal: the device's sweep rounds in another order than the host's, so that two rows whose
///   scores are within rounding of each other may change places.

#include <limbeck/backend/thrust/k_center.hpp>
#include <limbeck/backend/thrust/probabilities.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/sweep.hpp>
#include <limbeck/selection/by_score.hpp>
#include <limbeck/selection/ranking.hpp>

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/find.h>
#include <thrust/functional.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/sort.h>
#include <thrust/transform.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

struct is_not_taken {
  const unsigned char* taken;
  LIMBECK_HOST_DEVICE bool operator()(std::size_t r) const { return taken[r] == 0; }
};
/// The score of a row with its sign; no zero is negative, since equal scores go by their rows.
struct signed_score {
  any_vector scores;
  double sign;
  LIMBECK_HOST_DEVICE double operator()(std::size_t r) const { return sign * scores.number(r) + 0.0; }
};
struct is_nan {
  LIMBECK_HOST_DEVICE bool operator()(double x) const { return x != x; }
};
struct label_of_row {
  any_vector labels;
  LIMBECK_HOST_DEVICE std::int64_t operator()(std::size_t r) const { return labels.integer(r); }
};

template <>
struct selection_in<device_memory> {
  /// k_center: the rows, and how well they cover the pool.
  template <class Metric, class Pool>
  static covering farthest_first(const k_center<Metric>& how, const Pool& pool, const query& q, bool with_radius) {
    static_assert(embedded_on_device<Metric>,
                  "limbeck: on a device distances are euclidean_distance, cosine_distance, probability_distance or "
                  "hellinger_distance; copy the pool to the host for a metric of your own");
    if constexpr (embedded_on_device<Metric>) {
      using T = typename tensor_traits<Pool>::scalar;
      return farthest_first_on_device<T>(how, rows<const T>(tensor_traits<Pool>::view(pool)), q, with_radius);
    } else {
      return {};
    }
  }

  /// The best rows by scores that lie on the device.
  template <class Memory, class Pool>
  static std::vector<std::size_t> ranked(const given_scores<Memory>& scores, const Pool&, const query& q,
                                         const std::vector<unsigned char>& labelled, double sign) {
    static_assert(std::is_same_v<Memory, device_memory>,
                  "limbeck: these scores lie on the host and the pool on a device; copy the scores to the device");
    if (scores.values.size() != labelled.size())
      throw_length("scores", scores.values.size(), labelled.size(), "one a row of the pool");
    return best(scores.values, q.labelled.empty() ? nullptr : &labelled, q.budget, sign);
  }
  /// The best rows by a signal, which is measured on the device.
  template <class S, class Teacher, class Pool>
  static std::vector<std::size_t> ranked(const signal_scores<S, Teacher>& scores, const Pool& pool, const query& q,
                                         const std::vector<unsigned char>& labelled, double sign) {
    using T = typename tensor_traits<Pool>::scalar;
    scores.require(q);
    const std::size_t n = labelled.size();
    thrust::device_vector<T> out(n);
    const auto measured_with = [&](const auto&... tensors) {
      if constexpr (signal_reads<S>::labels) {
        thrust::device_vector<std::int64_t> labels(n);
        thrust::transform(thrust::device, row(0), row(n), labels.begin(), label_of_row{q.labels});
        measure(scores.measured_signal, tensors..., labels, out);
      } else {
        measure(scores.measured_signal, tensors..., out);
      }
    };
    static_assert(std::is_same_v<Teacher, no_pool> || !read_by_host<Teacher>,
                  "limbeck: the student's pool lies on a device and the teacher's does not; copy the teacher's logits there");
    if constexpr (std::is_same_v<Teacher, no_pool>) {
      measured_with(pool);
    } else if constexpr (!read_by_host<Teacher>) {
      const std::size_t columns = tensor_traits<Pool>::view(pool).classes;
      const auto other = tensor_traits<Teacher>::view(*scores.teacher);
      if (other.samples != n || other.classes != columns)
        throw_shape("the teacher's pool", other.samples, other.classes, n, columns);
      measured_with(pool, *scores.teacher);
    }
    return best(view_vector(out), q.labelled.empty() ? nullptr : &labelled, q.budget, sign);
  }

  /// Pools of probabilities.
  template <class Pool>
  static auto softmax(const Pool& logits, double temperature) {
    using T = typename tensor_traits<Pool>::scalar;
    return softmax_on_device<T>(rows<const T>(tensor_traits<Pool>::view(logits)), temperature);
  }
  template <class T>
  static auto mixed(device_probabilities<T> first, const device_probabilities<T>& second, double share) {
    return mixed_on_device(std::move(first), second, share);
  }

  static std::vector<std::size_t> best_of(const any_vector& scores, std::size_t k, double sign) {
    return best(scores, nullptr, k, sign);
  }

 private:
  static thrust::counting_iterator<std::size_t> row(std::size_t r) { return thrust::counting_iterator<std::size_t>(r); }

  /// The @p k best of the rows that are not @p taken.
  static std::vector<std::size_t> best(const any_vector& scores, const std::vector<unsigned char>* taken, std::size_t k,
                                       double sign) {
    const std::size_t n = scores.size();
    thrust::device_vector<std::size_t> rows_left(n);
    auto end = rows_left.end();
    if (taken) {
      const thrust::device_vector<unsigned char> marks(taken->begin(), taken->end());
      end = thrust::copy_if(thrust::device, row(0), row(n), rows_left.begin(),
                            is_not_taken{thrust::raw_pointer_cast(marks.data())});
    } else {
      thrust::copy(thrust::device, row(0), row(n), rows_left.begin());
    }
    thrust::device_vector<double> keys(static_cast<std::size_t>(end - rows_left.begin()));
    thrust::transform(thrust::device, rows_left.begin(), end, keys.begin(), signed_score{scores, sign});
    if (const auto bad = thrust::find_if(thrust::device, keys.begin(), keys.end(), is_nan{}); bad != keys.end())
      checked_score(*bad, rows_left[static_cast<std::size_t>(bad - keys.begin())]);
    thrust::stable_sort_by_key(thrust::device, keys.begin(), keys.end(), rows_left.begin(), thrust::greater<double>());
    std::vector<std::size_t> chosen(k);
    thrust::copy_n(rows_left.begin(), k, chosen.begin());
    return chosen;
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
