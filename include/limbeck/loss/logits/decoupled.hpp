#ifndef LIMBECK_LOSS_LOGITS_DECOUPLED_HPP
#define LIMBECK_LOSS_LOGITS_DECOUPLED_HPP

/// @file
/// Losses that part the labelled class from the others: DKD and NKD, as sums over two domains.
///
/// Published codes take log(softmax) of logits with -1000 at the label; when the label's probability underflows, that
/// is NaN or infinity. Here the other classes are a domain with a softmax of its own, and 1 - p_y is their sum.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/logits/cross_entropy.hpp>
#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/objective/expression.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Target-class KL (TCKD): KL of the two-way distributions (p_y, 1 - p_y) and (q_y, 1 - q_y), y the label.
struct target_kl {
  using limbeck_loss = labelwise;
  static constexpr bool needs_rest = true;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr label_outcome<X> outcome(const label_point<X>& x) {
    point<X> target{}, rest{};
    target.p = x.p, target.q = x.q, target.log_ratio = x.log_ratio;
    rest.p = x.rest_p, rest.q = x.rest_q, rest.log_ratio = x.rest_log_ratio;
    detail::set_differences(target);
    detail::set_differences(rest);
    // q_y - p_y, from the side on which it is the smaller part of a probability
    const X d = select(x.p < x.rest_p, target.difference, -rest.difference);
    label_outcome<X> o;
    o.value = target.excess + rest.excess;
    o.softmax = X(0);
    o.rest = -d;
    o.label = d;
    o.uniform = X(0);
    return o;
  }
};

/// Cross-entropy of the labelled class alone, -p_y log q_y.
struct target_cross_entropy {
  using limbeck_loss = labelwise;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr label_outcome<X> outcome(const label_point<X>& x) {
    label_outcome<X> o;
    o.value = -(x.p * x.log_q);
    o.softmax = x.p;
    o.rest = X(0);
    o.label = -x.p;
    o.uniform = X(0);
    return o;
  }
};

/// Decoupled knowledge distillation: alpha TCKD + beta NCKD, NCKD the forward KL over the classes other than the label.
///
/// With alpha = 1 and beta = 1 - p_y it is the forward KL. Multiplied by T^2. Zhao et al., Decoupled Knowledge
/// Distillation, 2022, arXiv:2203.08679, eq. 7 (beta = 8 on CIFAR-100 there, by validation).
struct dkd {
  using limbeck_loss = composite;
  double alpha = 1, beta = 8;  ///< weights of the target part and of the non-target part
  constexpr auto terms() const { return alpha * target_kl{} + beta * on<non_target>(forward_kl{}); }
};

/// Normalised knowledge distillation: -p_y log q_y at temperature 1, + gamma times the cross-entropy over the other
/// classes, normalised to sum to one, at `temperature` and times its square.
///
/// Both parts are cross-entropies, as published: not 0 where student and teacher agree. Used beside `cross_entropy`.
/// Yang et al., From Knowledge Distillation to Self-Knowledge Distillation, 2023, arXiv:2303.13005, eq. 8.
struct nkd {
  using limbeck_loss = composite;
  double gamma = 1.5, temperature = 1;  ///< weight and temperature of the non-target part
  constexpr auto terms() const {
    return target_cross_entropy{} + gamma * at_temperature(temperature, on<non_target>(soft_cross_entropy{}));
  }
};

LIMBECK_END_NAMESPACE

#endif
