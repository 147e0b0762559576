#ifndef LIMBECK_DIFFUSION_VARIATIONAL_SCORE_HPP
#define LIMBECK_DIFFUSION_VARIATIONAL_SCORE_HPP

/// @file
/// Variational score distillation.

#include <limbeck/diffusion/weighted_difference.hpp>

LIMBECK_BEGIN_NAMESPACE

/// The gradient of variational score distillation by generated samples: w(level) (e_real - e_fake), of the noise that two
/// predictions say at one x_t.
///
/// The loss that reads it is `specified_gradient`. Held fixed: both predictions, so that no gradient goes through the denoisers.
/// @param kind of both predictions, as `predicts_noise`, `predicts_velocity`; x_t cancels, and is not read
/// @param real what the teacher predicts of samples noised, samples x dimensions
/// @param fake what the denoiser of generated samples does
/// @param at their levels, `levels(path, t)`
/// @param weight of a level: `uniform_weight`, `variance_weight`, `kl_weight`, or a function of a `noise_level`. With `kl_weight`
///        and an exact fake the expected gradient is that of KL(noised generated || noised data)
/// A row whose number is not finite (a/s at no noise, a clean prediction there) is a fault of the call that reads it.
/// O(samples x dimensions), one pass.
/// @throws shape_error where shapes differ or there is not one time a row.
///
/// Wang et al., ProlificDreamer: High-Fidelity and Diverse Text-to-3D Generation with Variational Score Distillation, 2023,
/// arXiv:2305.16213; of a one-step generator, Nguyen and Tran, SwiftBrush, 2023, arXiv:2312.05239. With one guidance scale for
/// both predictions, redrawn each step: SNOOPI, 2024, arXiv:2412.02687.
template <prediction_kind Kind, class Real, class Fake, row_levels L, class W = uniform_weight>
auto variational_score(const Kind& kind, Real&& real, Fake&& fake, const L& at, const W& weight = {}) {
  return detail::checked_levels(at, detail::weighted("fake of variational_score", detail::noise_difference<Kind, L, W>{kind, at, weight},
                                                     std::forward<Real>(real), std::forward<Fake>(fake)));
}

LIMBECK_END_NAMESPACE

#endif
