#ifndef LIMBECK_LOSS_LOGITS_OTHER_DIVERGENCES_HPP
#define LIMBECK_LOSS_LOGITS_OTHER_DIVERGENCES_HPP

/// @file
/// Total variation, squared Hellinger, alpha-divergence. p = softmax(t/T) is the teacher, q = softmax(s/T) the student.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// Total variation, (1/2) sum |p - q|, in [0, 1].
///
/// Its gradient shrinks like 1/T where that of a KL shrinks like 1/T^2, so it is multiplied by T. Wen et al.,
/// f-Divergence Minimization for Sequence-Level Knowledge Distillation, 2023, arXiv:2307.15190. The subgradient at
/// p_i = q_i is 0.
struct total_variation {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 1;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    return X(static_cast<typename X::scalar>(0.5)) * abs(x.difference);
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    const X half_q = X(static_cast<typename X::scalar>(0.5)) * x.q;
    return select(x.difference > X(0), half_q, select(x.difference < X(0), -half_q, X(0)));
  }
};

/// Squared Hellinger distance, (1/2) sum (sqrt p - sqrt q)^2, in [0, 1]. Multiplied by T^2.
struct squared_hellinger {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    const X d = roots(x).gap;
    return X(static_cast<typename X::scalar>(0.5)) * d * d;
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    const auto r = roots(x);
    return X(static_cast<typename X::scalar>(0.5)) * r.q * r.gap;
  }

 private:
  template <class X>
  struct pair {
    X q, gap;  // sqrt q, and sqrt q - sqrt p with its digits
  };
  template <class X>
  LIMBECK_INLINE static constexpr pair<X> roots(const point<X>& x) {
    const X q = sqrt(x.q);
    return {q, x.difference / larger(q + sqrt(x.p), X(detail::tiny<typename X::scalar>))};
  }
};

/// Alpha-divergence, (sum p^alpha q^(1-alpha) - 1) / (alpha (alpha - 1)): the reverse KL at 0, the forward KL at 1, four
/// times the squared Hellinger distance at 1/2.
///
/// Taken with - alpha p - (1 - alpha) q in the sum, so that every term is at least 0. Multiplied by T^2. Outside [0, 1] a
/// sum of p^alpha q^(1-alpha) that the type cannot hold is +inf. Wang et al., AlphaNet, 2021, arXiv:2102.07954, eq. 5 (its
/// code also clips p/q; this does not).
struct alpha_divergence {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;
  static constexpr bool saturates = true;  // see `finish`

  double alpha = 0.5;  ///< any finite number

  void check() const {
    if (!(alpha - alpha == 0)) raise<value_error>("limbeck: alpha_divergence.alpha is " + detail::show(alpha));
  }

  // With E(y) = exp(y) - 1 - y the value is q (E(r) - E(a r)/a) / (1 - a), r = log p - log q: nothing cancels where a is at
  // most 1/2 and a r is moderate; the same of -r with p and q exchanged is for the others. E(r) q is the reverse KL's term.

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    using T = typename X::scalar;
    const bool exchanged = alpha > 0.5;
    const double a = exchanged ? 1 - alpha : alpha;
    const X r = exchanged ? -x.log_ratio : x.log_ratio;
    const X kl = exchanged ? x.excess : reverse_excess(x);
    const X ar = X(static_cast<T>(a)) * r;
    const X part = (exchanged ? x.p : x.q) * ar * r * detail::exp_excess_ratio(-ar);
    const X moderate = (kl - part) * X(static_cast<T>(1 / (1 - a)));
    const X m = power_mean(x);
    const X direct = (m - X(static_cast<T>(alpha)) * x.p - X(static_cast<T>(1 - alpha)) * x.q) *
                     X(static_cast<T>(1 / (alpha * (alpha - 1))));
    const X most((std::numeric_limits<T>::max)());
    const X kept = smaller(select(m < X(detail::exp2_most<T>), direct, most), most);
    return select(abs(ar) < X(T(0.5)), moderate, kept);
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    using T = typename X::scalar;
    const X ar = X(static_cast<T>(alpha)) * x.log_ratio;
    const X moderate = -(x.q * (x.log_ratio + ar * x.log_ratio * detail::exp_excess_ratio(-ar)));
    return select(abs(ar) < X(T(0.5)), moderate, (x.q - power_mean(x)) * X(static_cast<T>(1 / alpha)));
  }

 private:
  /// p^alpha q^(1-alpha).
  template <class X>
  LIMBECK_INLINE constexpr X power_mean(const point<X>& x) const {
    using T = typename X::scalar;
    const X log_mean = X(static_cast<T>(alpha)) * x.log_p + X(static_cast<T>(1 - alpha)) * x.log_q;
    return detail::exp2_any(log_mean * X(static_cast<T>(detail::log2e)));
  }
};

LIMBECK_END_NAMESPACE

#endif
