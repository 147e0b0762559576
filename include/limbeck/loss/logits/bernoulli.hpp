#ifndef LIMBECK_LOSS_LOGITS_BERNOULLI_HPP
#define LIMBECK_LOSS_LOGITS_BERNOULLI_HPP

/// @file
/// Divergences of independent yes-or-no answers, one a class: heads with a sigmoid, multi-label classification.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/loss/logits/kl.hpp>

#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Both answers of one class, as the engine shows two classes to a divergence: p = sigmoid(t/T), q = sigmoid(s/T).
template <class X>
struct answers {
  point<X> yes{}, no{};

  LIMBECK_INLINE explicit answers(const point<X>& x) {
    using T = typename X::scalar;
    const X zero(T(0)), most(sizeof(T) == 4 ? T(1e30) : T(1e300));
    const auto held = [&](const X& a) LIMBECK_LAMBDA_INLINE { return larger(-most, smaller(most, a)); };
    const X u = held(x.student), v = held(x.teacher), d = held(x.difference);
    const side of_student(u), of_teacher(v);
    yes.q = of_student.yes, no.q = of_student.no;
    yes.p = of_teacher.yes, no.p = of_teacher.no;
    yes.log_q = smaller(u, zero) - of_student.soft, no.log_q = smaller(-u, zero) - of_student.soft;
    yes.log_p = smaller(v, zero) - of_teacher.soft, no.log_p = smaller(-v, zero) - of_teacher.soft;

    // apart: of two logits of one sign the larger part of a ratio is d itself, or nothing
    const X soft = of_student.soft - of_teacher.soft;
    const X above = smaller(u, v), below = larger(u, v);
    const X yes_apart = select(below < zero, -d, smaller(v, zero) - smaller(u, zero)) + soft;
    const X no_apart = select(above > zero, d, smaller(-v, zero) - smaller(-u, zero)) + soft;
    // close: q/p = 1 / (1 + (1-p)(exp(-d) - 1)), and the same of the other answer
    const auto is_close = abs(d) < X(T(0.5));
    const X e = select(is_close, d, zero), square = e * e;
    yes.log_ratio = select(is_close, log1p(no.p * (square * exp_excess_ratio(e) - e)), yes_apart);
    no.log_ratio = select(is_close, log1p(yes.p * (square * exp_excess_ratio(-e) + e)), no_apart);
    set_differences(yes);
    set_differences(no);
  }

 private:
  /// sigmoid(u), sigmoid(-u), log(1 + exp(-|u|)).
  struct side {
    X yes, no, soft;
    LIMBECK_INLINE explicit side(const X& u) {
      using T = typename X::scalar;
      const X one(T(1)), size = abs(u);
      // exactly 0 far out: 0 log 0 is 0
      const X e = select(size < X(sizeof(T) == 4 ? T(87) : T(708)), exp(-size), X(T(0)));
      const X z = one + e;
      yes = select(u < X(T(0)), e, one) / z;
      no = select(u < X(T(0)), one, e) / z;
      soft = log1p(e);
    }
  };
  LIMBECK_INLINE static X log1p(const X& a) { return a - log1p_excess(a); }
};

}  // namespace detail

/// Any divergence that is a sum over classes (`forward_kl`, `reverse_kl`, `jensen_shannon`, `total_variation`, ...), between
/// the two answers of every class, and the classes summed: sum_i phi(p_i, q_i) + phi(1 - p_i, 1 - q_i), with
/// p_i = sigmoid(t_i/T) the teacher's and q_i = sigmoid(s_i/T) the student's.
///
/// For heads where several classes may be right at once. Unlike over a softmax, one class alone is a distribution, and a
/// shift of a row changes the value. Multiplied by the T^k of the divergence. Digits as over a softmax: differences come
/// from t - s. A class that a side masks has the probability 0 there, so the value is infinite where that of the
/// divergence is; masked on both sides, it counts nowhere.
/// @throws value_error where the divergence is not 0 at agreement (`soft_cross_entropy`), or refuses its own options.
/// O(samples x classes). With `forward_kl` it is MLD of Yang et al., Multi-Label Knowledge Distillation, 2023,
/// arXiv:2308.06453, at T = 1 (whose code clips probabilities at 1e-8; this does not).
template <class Divergence>
struct bernoulli {
  using limbeck_loss = logitwise;
  static constexpr int temperature_power = Divergence::temperature_power;
  static constexpr bool saturates = requires { Divergence::saturates; };
  static_assert(std::is_same_v<typename Divergence::limbeck_loss, pointwise>,
                "limbeck: bernoulli takes a loss that is a sum over classes of a function of p and q");

  Divergence divergence{};  ///< between (p, 1 - p) and (q, 1 - q)

  void check() const {
    if constexpr (requires { divergence.check(); }) divergence.check();
    using X = pack<scalar_lanes<double>>;
    if (divergence.value(detail::answers<X>(point<X>{}).yes).v != 0)
      raise<value_error>("limbeck: bernoulli takes a divergence, which is 0 where student and teacher agree; for the "
                         "gradient of a cross-entropy take forward_kl");
  }

  template <class X>
  LIMBECK_INLINE X value(const point<X>& x) const {
    const detail::answers<X> a(x);
    return divergence.value(a.yes) + divergence.value(a.no);
  }
  template <class X>
  LIMBECK_INLINE X flow(const point<X>& x) const {
    const detail::answers<X> a(x);
    return a.no.q * divergence.flow(a.yes) - a.yes.q * divergence.flow(a.no);
  }
  template <class X>
  LIMBECK_INLINE X teacher_flow(const point<X>& x) const {
    const detail::answers<X> a(x);
    return a.no.p * of_teacher(a.yes) - a.yes.p * of_teacher(a.no);
  }

 private:
  /// p dphi/dp.
  template <class X>
  LIMBECK_INLINE X of_teacher(const point<X>& x) const {
    if constexpr (requires { divergence.teacher_flow(x); }) {
      return divergence.teacher_flow(x);
    } else {
      return divergence.value(x) - divergence.flow(x);
    }
  }
};
/// @cond
template <class Divergence>
bernoulli(Divergence) -> bernoulli<Divergence>;
/// @endcond

/// KL of the answers of each class, teacher's to student's: `bernoulli<forward_kl>`.
using bernoulli_kl = bernoulli<forward_kl>;
/// KL of the answers of each class, student's to teacher's: `bernoulli<reverse_kl>`.
using bernoulli_reverse_kl = bernoulli<reverse_kl>;

LIMBECK_END_NAMESPACE

#endif
