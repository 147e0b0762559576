#ifndef LIMBECK_DIFFUSION_SCORE_DISTILLATION_HPP
#define LIMBECK_DIFFUSION_SCORE_DISTILLATION_HPP

/// @file
/// Score distillation sampling.

#include <limbeck/diffusion/variational_score.hpp>

LIMBECK_BEGIN_NAMESPACE

/// The gradient of score distillation (SDS) by samples: w(level) (predicted - e), of the noise e that was added and the noise that the
/// teacher predicts of it.
///
/// The loss that reads it is `specified_gradient`. Held fixed: the prediction; the teacher's Jacobian and the factor a of the noising
/// are left out, as the paper does.
/// @param predicted the teacher's noise, samples x dimensions; of another kind of prediction `to_noise(kind, p, x_t, at)`
/// @param e the noise of x_t = a x + s e
/// @param at its levels
/// @param weight of a level, as of `variational_score`: the paper's is `variance_weight`
/// It is 0 where the noise is predicted exactly. O(samples x dimensions). Errors as `variational_score`; codes that turn a NaN into 0
/// hide a broken row, which a call here names.
///
/// Poole, Jain, Barron and Mildenhall, DreamFusion: Text-to-3D using 2D Diffusion, 2022, arXiv:2209.14988.
template <class Predicted, class E, row_levels L, class W = variance_weight>
auto score_distillation(Predicted&& predicted, E&& e, const L& at, const W& weight = {}) {
  return variational_score(predicts_noise{}, std::forward<Predicted>(predicted), std::forward<E>(e), at, weight);
}

LIMBECK_END_NAMESPACE

#endif
