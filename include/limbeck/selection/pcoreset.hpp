#ifndef LIMBECK_SELECTION_PCORESET_HPP
#define LIMBECK_SELECTION_PCORESET_HPP

/// @file
/// PCoreSet: farthest first in the space of probabilities; and pools of logits read as probabilities.

#include <limbeck/selection/k_center.hpp>
#include <limbeck/selection/pool_rows.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// PCoreSet (Kang et al. 2025, arXiv:2506.00910): k_center over rows of probabilities, by their Euclidean distance,
/// from the predictions of the labelled rows. No distance exceeds sqrt(2), and a row that predicts what a labelled one
/// does is chosen only when no other is left. The pool holds probabilities: one model's, or softmax_of(logits), or
/// mixed_heads(ce, kd) as in the paper.
///
/// Follows the authors' code (erjui/PCoreSet, strategies.py), which takes the plain L2 distance of the mixed heads. The
/// code keeps labelled rows apart from the pool and cannot start without one; here they are rows of the pool, and where
/// there is none `first` is chosen first.
using pcoreset = k_center<probability_distance>;

namespace detail {

/// @throws value_error where @p temperature is not positive.
inline void check_softmax_temperature(double temperature) {
  if (!(temperature > 0 && std::isfinite(temperature)))
    raise<value_error>("limbeck: temperature is " + show(temperature) + ", expected a positive number");
}
/// @throws value_error where @p share is not in [0, 1], shape_error where the two heads differ in shape.
inline void check_heads(double share, std::size_t rows, std::size_t columns, std::size_t other_rows,
                        std::size_t other_columns) {
  if (!(share >= 0 && share <= 1))
    raise<value_error>("limbeck: share is " + show(share) + ", expected a number in [0, 1]");
  if (rows != other_rows || columns != other_columns)
    throw_shape("the second head", other_rows, other_columns, rows, columns);
}

}  // namespace detail

/// softmax(x / T), row by row as they are read.
template <class Reader>
class softmax_pool {
 public:
  using scalar = typename std::remove_cvref_t<Reader>::scalar;
  static constexpr bool in_memory = detail::in_memory<std::remove_cvref_t<Reader>>;  ///< see row_reader
  /// @throws value_error where @p temperature is not positive.
  softmax_pool(const Reader& logits, double temperature) : logits_(logits), temperature_(temperature) {
    detail::check_softmax_temperature(temperature);
  }
  std::size_t size() const { return logits_.size(); }
  std::size_t columns() const { return logits_.columns(); }
  void read(std::size_t first, std::size_t count, scalar* out) const {
    logits_.read(first, count, out);
    std::vector<double> p(columns());
    for (std::size_t r = first; r < first + count; ++r) {
      for (std::size_t c = 0; c < p.size(); ++c) out[c] = static_cast<scalar>(out[c] / temperature_);
      detail::softmax_into(std::span<const scalar>(out, p.size()), p, r);
      for (const double x : p) *out++ = static_cast<scalar>(x);
    }
  }

 private:
  Reader logits_;  // a view of memory, or a reference to the reader
  double temperature_;
};

/// The probabilities of a pool of logits: a pool that computes them as it is read, and stores nothing. Where the
/// probabilities fit into memory and are asked for more than once, compute them once instead. @p logits outlives it. Of
/// logits on a device they are computed at once and kept there.
/// @throws value_error where the temperature is not positive; on reading, where the largest
/// logit of a row is not finite or one is NaN.
template <class Pool>
auto softmax_of(const Pool& logits, double temperature = 1) {
  if constexpr (detail::read_by_host<Pool>) {
    return softmax_pool<decltype(as_reader(logits))>(as_reader(logits), temperature);
  } else {
    return detail::selection_in<detail::pool_memory_t<Pool>>::softmax(logits, temperature);
  }
}

/// (1 - share) softmax(a) + share softmax(b / T), row by row as they are read.
template <class First, class Second>
class mixed_pool {
 public:
  using scalar = typename First::scalar;
  static constexpr bool in_memory = detail::in_memory<First> && detail::in_memory<Second>;  ///< see row_reader
  /// @throws value_error where @p share is not in [0, 1], shape_error where the two heads differ in shape.
  mixed_pool(First first, Second second, double share)
      : first_(std::move(first)), second_(std::move(second)), share_(share) {
    static_assert(std::is_same_v<scalar, typename Second::scalar>, "limbeck: the two heads have two scalar types");
    detail::check_heads(share, first_.size(), first_.columns(), second_.size(), second_.columns());
  }
  std::size_t size() const { return first_.size(); }
  std::size_t columns() const { return first_.columns(); }
  void read(std::size_t first, std::size_t count, scalar* out) const {
    std::vector<scalar> other(count * columns());
    first_.read(first, count, out);
    second_.read(first, count, other.data());
    for (std::size_t k = 0; k < other.size(); ++k)
      out[k] = static_cast<scalar>((1 - share_) * static_cast<double>(out[k]) + share_ * static_cast<double>(other[k]));
  }

 private:
  First first_;
  Second second_;
  double share_;
};

/// How two heads are mixed.
struct mixing {
  double share = 0.5;      ///< of the distillation head, in [0, 1]
  double temperature = 1;  ///< of the distillation head, positive
};

/// The predictions of a student with a head for labels and a head for distillation, as PCoreSet selects by them (and
/// evaluates them): (1 - share) softmax(ce) + share softmax(kd / temperature). Computed on reading, as softmax_of.
/// @throws shape_error where the two differ in shape; value_error as softmax_of, or for a share outside [0, 1].
template <class Pool, class Other>
auto mixed_heads(const Pool& ce, const Other& kd, mixing how = {}) {
  static_assert(std::is_same_v<detail::pool_memory_t<Pool>, detail::pool_memory_t<Other>>,
                "limbeck: one of the two heads lies on a device, the other on the host");
  if constexpr (detail::read_by_host<Pool>) {
    return mixed_pool(softmax_of(ce), softmax_of(kd, how.temperature), how.share);
  } else {
    return detail::selection_in<detail::pool_memory_t<Pool>>::mixed(softmax_of(ce), softmax_of(kd, how.temperature), how.share);
  }
}

LIMBECK_END_NAMESPACE

#endif
