#ifndef LIMBECK_TARGET_BINARY_LABELS_HPP
#define LIMBECK_TARGET_BINARY_LABELS_HPP

/// @file
/// Labels of heads with sigmoids: of each class a yes, a no or a probability.

#include <limbeck/target/row_functions.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

/// Logits of the labels; made by `binary_labels`.
template <class Source, schedule S>
struct binary_labels_target : detail::one_source<Source> {
  S temperature;  ///< of the term
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return binary_labels_target<decltype(inner), constant>{{inner}, constant(temperature(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    constexpr T sure = T(1e4);  // its sigmoid is 1, and its negative's 0
    detail::fill_from(this->source, r);
    const T t = detail::target_temperature(temperature, r);
    detail::for_own<T>(r.team, r.out.size(), [&](std::size_t c) {
      const T y = r.out[c];
      const T z = std::log(y) - std::log1p(-y);  // NaN outside [0, 1]
      r.out[c] = t * (z > sure ? sure : z < -sure ? -sure : z);
    });
  }
};

/// The logits whose sigmoids are labels: z_i = T log(y_i/(1 - y_i)), for `bernoulli_kl`.
///
/// `bernoulli_kl` on it is the binary cross-entropy sum_i -y_i log q_i - (1 - y_i) log(1 - q_i), q_i = sigmoid(s_i/T),
/// less the entropy of the labels, which is 0 where each is 0 or 1; the gradient at T = 1 is q - y.
///
/// @param labels tensor or target of numbers in [0, 1], samples x classes, several of a row may be 1, or none
/// @param temperature T, which has to be the term's, a constant or a schedule
/// @throws value_error where T is not positive; a label outside [0, 1] is reported by the call, as a NaN of the
/// teacher.
template <class X, number N = double>
auto binary_labels(X&& labels, const N& temperature = 1) {
  auto t = as_schedule(temperature);
  detail::check_positive("the temperature of binary_labels", t);
  return binary_labels_target<detail::target_of<X>, decltype(t)>{{detail::as_target(std::forward<X>(labels))},
                                                                 std::move(t)};
}

LIMBECK_END_NAMESPACE

#endif
