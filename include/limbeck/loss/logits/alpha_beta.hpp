#ifndef LIMBECK_LOSS_LOGITS_ALPHA_BETA_HPP
#define LIMBECK_LOSS_LOGITS_ALPHA_BETA_HPP

/// @file
/// The alpha-beta divergence (ABKD): two knobs, between and beyond the forward and the reverse KL.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// Alpha-beta divergence, -1/(a b) sum p^a q^b - a/(a+b) p^(a+b) - b/(a+b) q^(a+b), and its limits where a, b or a + b is 0.
///
/// p = softmax(t/T) is the teacher, q = softmax(s/T) the student. The forward KL at (1, 0), the reverse KL at (0, 1), half
/// the squared distance of probabilities at (1, 1), half that of log probabilities at (0, 0), `alpha_divergence{a}` at
/// (a, 1 - a). Larger alpha makes classes with a large error count more, larger beta those in which the student is sure.
/// At least 0, and 0 where p = q alone. Multiplied by T^2. Finite unless a power of a probability with a negative exponent,
/// or a logarithm, meets a masked class; what the type cannot hold is +inf. Near a limit it is as exact as at the limit.
/// O(samples x classes), three exponentials a class.
///
/// Wang et al., ABKD: Pursuing a Proper Allocation of the Probability Mass in Knowledge Distillation via
/// alpha-beta-Divergence, 2025, arXiv:2505.04560; the divergence and its limits are those of Cichocki, Cruces and Amari,
/// Generalized Alpha-Beta Divergences, 2011. The released code divides by a and b where the limits have a^2 and b^2: the same
/// at 1 only, and negative at a = -b < 0. It has no factor T^2.
struct alpha_beta {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;
  static constexpr bool saturates = true;  // see `finish`

  double alpha = 0.2,  ///< power of the teacher in the product, any finite number
      beta = 0.7;      ///< power of the student, any finite number

  void check() const {
    if (!(alpha - alpha == 0)) raise<value_error>("limbeck: alpha_beta.alpha is " + detail::show(alpha) + ", expected a finite number");
    if (!(beta - beta == 0)) raise<value_error>("limbeck: alpha_beta.beta is " + detail::show(beta) + ", expected a finite number");
  }

  // With H(y) = (exp(y) - 1 - y)/y^2, r = log p - log q and s = a + b, the value is B r^2 (w H(x r) + (1 - w) H(y r)), the mean
  // of two positive numbers, whatever a and b: nothing cancels and no limit is a case of its own. The base B is that of
  // p^s, q^s and p^a q^b from which the two others are B exp(x r) and B exp(y r) with w in [0, 1].

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    using T = typename X::scalar;
    const double s = alpha + beta, size_a = alpha < 0 ? -alpha : alpha, size_b = beta < 0 ? -beta : beta;
    const powers<X> k(*this, x);
    X total;
    if (alpha == 0 && beta == 0) {
      total = X(T(0.5)) * k.both * x.log_ratio * x.log_ratio;
    } else if ((alpha < 0) == (beta < 0) || alpha == 0 || beta == 0) {
      total = part(beta / s, k.both, k.teacher, beta, x.log_ratio) + part(alpha / s, k.both, k.student, -alpha, x.log_ratio);
    } else if (size_a >= size_b) {
      total = part(s / alpha, k.teacher, k.student, -s, x.log_ratio) + part(-beta / alpha, k.teacher, k.both, -beta, x.log_ratio);
    } else {
      total = part(s / beta, k.student, k.teacher, s, x.log_ratio) + part(-alpha / beta, k.student, k.both, alpha, x.log_ratio);
    }
    const X most((std::numeric_limits<T>::max)());
    const X highest = larger(k.both, larger(k.teacher, k.student));
    const X held = select(highest < X(detail::exp2_most<T>), total, most);
    return select(abs(x.log_ratio) > X(T(0)), smaller(held, most), X(T(0)));
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    const powers<X> k(*this, x);
    return -slope(k.student, k.both, alpha, x.log_ratio);
  }
  template <class X>
  LIMBECK_INLINE constexpr X teacher_flow(const point<X>& x) const {
    const powers<X> k(*this, x);
    return slope(k.teacher, k.both, -beta, x.log_ratio);
  }

 private:
  /// p^a q^b, p^(a+b), q^(a+b); 0 at a class that both sides mask, whatever the exponents.
  template <class X>
  struct powers {
    X both, teacher, student;
    LIMBECK_INLINE constexpr powers(const alpha_beta& l, const point<X>& x) {
      using T = typename X::scalar;
      const auto seen = X(sizeof(T) == 4 ? T(-1e20) : T(-1e290)) < larger(x.log_p, x.log_q);
      const auto power = [&](const X& log) LIMBECK_LAMBDA_INLINE {
        return select(seen, detail::exp2_any(log * X(static_cast<T>(detail::log2e))), X(T(0)));
      };
      both = power(X(static_cast<T>(l.alpha)) * x.log_p + X(static_cast<T>(l.beta)) * x.log_q);
      teacher = power(X(static_cast<T>(l.alpha + l.beta)) * x.log_p);
      student = power(X(static_cast<T>(l.alpha + l.beta)) * x.log_q);
    }
  };
  /// w base r^2 H(x r), where @p raised is base exp(x r).
  template <class X>
  LIMBECK_INLINE static constexpr X part(double w, const X& base, const X& raised, double x, const X& r) {
    using T = typename X::scalar;
    const X y = X(static_cast<T>(x)) * r;
    const X close = X(static_cast<T>(w)) * base * r * r * detail::exp_excess_ratio(-y);
    const X apart = ((raised - base) - base * y) * X(static_cast<T>(w / (x * x)));
    return select(abs(y) < X(T(0.5)), close, apart);
  }
  /// base (exp(x r) - 1)/x, where @p raised is base exp(x r).
  template <class X>
  LIMBECK_INLINE static constexpr X slope(const X& base, const X& raised, double x, const X& r) {
    using T = typename X::scalar;
    const X y = X(static_cast<T>(x)) * r;
    const X close = base * (r + y * r * detail::exp_excess_ratio(-y));
    return select(abs(y) < X(T(0.5)), close, (raised - base) * X(static_cast<T>(1 / x)));
  }
};

LIMBECK_END_NAMESPACE

#endif
