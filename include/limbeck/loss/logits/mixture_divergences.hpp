#ifndef LIMBECK_LOSS_LOGITS_MIXTURE_DIVERGENCES_HPP
#define LIMBECK_LOSS_LOGITS_MIXTURE_DIVERGENCES_HPP

/// @file
/// Divergences from a mixture of teacher p and student q: bounded, whatever is masked. They share one logarithm a
/// class, see `mixture`.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
inline void check_open_fraction(const char* name, double x) {
  if (!(x > 0 && x < 1))
    raise<value_error>(std::string("limbeck: ") + name + " is " + show(x) +
                       ", expected a fraction in (0, 1); the ends are forward_kl and reverse_kl");
}
}  // namespace detail

/// Generalised Jensen-Shannon divergence, beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q.
///
/// Multiplied by T^2. Agarwal et al., On-Policy Distillation of Language Models (GKD), 2024, arXiv:2306.13649, eq. 1.
struct jensen_shannon {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;

  double beta = 0.5;  ///< weight of the teacher in the mixture, in (0, 1)

  void check() const { detail::check_open_fraction("jensen_shannon.beta", beta); }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    using T = typename X::scalar;
    const mixture<X> m(x, static_cast<T>(beta));
    return X(static_cast<T>(beta)) * m.from_p() + X(static_cast<T>(1 - beta)) * m.from_q();
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    using T = typename X::scalar;
    const mixture<X> m(x, static_cast<T>(beta));
    return -(X(static_cast<T>(1 - beta)) * x.q * m.log_ratio_q);
  }
};

/// Skew KL, KL(p || m) with m = alpha p + (1 - alpha) q.
///
/// Multiplied by T^2. Ko et al., DistiLLM, 2024, arXiv:2402.03898, eq. 5; its code leaves the teacher's entropy out of
/// the value (same gradient).
struct skew_kl {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;

  double alpha = 0.1;  ///< weight of the teacher in the mixture, in (0, 1)

  void check() const { detail::check_open_fraction("skew_kl.alpha", alpha); }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    return mixture<X>(x, static_cast<typename X::scalar>(alpha)).from_p();
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    using T = typename X::scalar;
    const mixture<X> m(x, static_cast<T>(alpha));
    return X(static_cast<T>((1 - alpha) * (1 - alpha))) * x.q * (x.difference / m.m);
  }
};

/// Skew reverse KL, KL(q || m) with m = alpha q + (1 - alpha) p.
///
/// Multiplied by T^2. Ko et al., DistiLLM, 2024, arXiv:2402.03898; DistiLLM-2, 2025, arXiv:2503.07067.
struct skew_reverse_kl {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;

  double alpha = 0.1;         ///< weight of the student in the mixture, in (0, 1)
  bool hold_mixture = false;  ///< whether the gradient takes the student's part of the mixture as fixed, as DistiLLM-2's code does

  void check() const { detail::check_open_fraction("skew_reverse_kl.alpha", alpha); }

  template <class X>
  LIMBECK_INLINE constexpr X value(const point<X>& x) const {
    return mixture<X>(x, static_cast<typename X::scalar>(1 - alpha)).from_q();
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const point<X>& x) const {
    using T = typename X::scalar;
    const mixture<X> m(x, static_cast<T>(1 - alpha));
    return -(x.q * (m.log_ratio_q + X(static_cast<T>(hold_mixture ? 0 : alpha * (1 - alpha))) * x.difference / m.m));
  }
  template <class X>
  LIMBECK_INLINE constexpr X teacher_flow(const point<X>& x) const {
    using T = typename X::scalar;
    const mixture<X> m(x, static_cast<T>(1 - alpha));
    return -(X(static_cast<T>((1 - alpha) * (1 - alpha))) * x.p * (x.difference / m.m));
  }
};

LIMBECK_END_NAMESPACE

#endif
