#ifndef LIMBECK_LOSS_LOGITS_KL_HPP
#define LIMBECK_LOSS_LOGITS_KL_HPP

/// @file
/// The Kullback-Leibler divergence in its two directions. p = softmax(t/T) is the teacher, q = softmax(s/T) the student.

#include <limbeck/engine/point.hpp>

LIMBECK_BEGIN_NAMESPACE

/// KL(p || q) = sum p (log p - log q): Hinton's distillation loss; the student must cover what the teacher does.
///
/// Taken as p log(p/q) - p + q, the same sum of which every term is at least 0, so that it keeps its digits where
/// student and teacher agree. Gradient (q - p)/T; multiplied by T^2. +inf where the student masks a class that the
/// teacher does not. Hinton, Vinyals and Dean, 2015, arXiv:1503.02531.
struct forward_kl {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    return x.excess;
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    return x.difference;
  }
};

/// KL(q || p) = sum q (log q - log p): the student keeps to what the teacher allows.
///
/// Taken as q log(q/p) - q + p. Multiplied by T^2. +inf where the teacher masks a class that the student does not. Gu
/// et al., MiniLLM, 2024, arXiv:2306.08543.
struct reverse_kl {
  using limbeck_loss = pointwise;
  static constexpr int temperature_power = 2;

  template <class X>
  LIMBECK_INLINE static constexpr X value(const point<X>& x) {
    return reverse_excess(x);
  }
  template <class X>
  LIMBECK_INLINE static constexpr X flow(const point<X>& x) {
    return -(x.q * x.log_ratio);
  }
};

LIMBECK_END_NAMESPACE

#endif
