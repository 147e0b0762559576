#ifndef LIMBECK_LOSS_LOGITS_BCE_WITH_LOGITS_HPP
#define LIMBECK_LOSS_LOGITS_BCE_WITH_LOGITS_HPP

/// @file
/// Binary cross-entropy of every column, with a weight for the positive answers.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Mean over columns of -w y_i log q_i - (1 - y_i) log(1 - q_i), q_i = sigmoid(s_i/T) and w = positive_weight; y, in the
/// teacher's place, are the *answers*: 0, 1 or a probability.
///
/// `bernoulli_kl` compares with a teacher's logits and is 0 where they agree; this is a cross-entropy, and knows what
/// a positive answer is worth where they are few. Multiplied by T^2. Its gradient by s_i is
/// ((1 - y) q - w y (1 - q))/T times T^2.
/// @throws value_error where the teacher's temperature is not 1 (answers have none), positive_weight is not positive and
///         finite, or a number of either side is not finite. O(samples x columns).
/// PyTorch's `binary_cross_entropy_with_logits` with one `pos_weight`.
struct bce_with_logits {
  using limbeck_loss = logitwise;
  static constexpr bool mean_over_classes = true;
  static constexpr bool of_features = true;
  static constexpr int temperature_power = 2;
  static constexpr bool fixed_teacher_temperature = true;

  double positive_weight = 1;  ///< of a positive answer, beside 1 of a negative

  void check() const {
    if (!(positive_weight > 0 && positive_weight < 1e30))
      raise<value_error>("limbeck: bce_with_logits.positive_weight is " + detail::show(positive_weight) +
                         ", expected a positive, finite number");
  }
  void check_call(std::size_t, std::size_t, double, double teacher_temperature) const {
    if (teacher_temperature != 1)
      raise<value_error>("limbeck: the answers of bce_with_logits stand at T = " + detail::show(teacher_temperature) +
                         ", expected 1: they are probabilities; write at_temperature(T, 1, ...)");
  }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    using T = typename X::scalar;
    return X(static_cast<T>(positive_weight)) * x.teacher * softplus(-x.student) + (X(T(1)) - x.teacher) * softplus(x.student);
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    using T = typename X::scalar;
    return (X(T(1)) - x.teacher) * sigmoid(x.student) -
           X(static_cast<T>(positive_weight)) * x.teacher * sigmoid(-x.student);
  }
  template <class X>
  LIMBECK_INLINE constexpr X teacher_flow(const point<X>& x) const {
    using T = typename X::scalar;
    return X(static_cast<T>(positive_weight)) * softplus(-x.student) - softplus(x.student);
  }

 private:
  /// log(1 + e^u).
  template <class X>
  LIMBECK_INLINE static constexpr X softplus(const X& u) {
    const X e = exp(-abs(u));
    return larger(u, X(0)) + (e - detail::log1p_excess(e));
  }
  template <class X>
  LIMBECK_INLINE static constexpr X sigmoid(const X& u) {
    const X one(1), e = exp(-abs(u));
    return select(u < X(0), e, one) / (one + e);
  }
};

LIMBECK_END_NAMESPACE

#endif
