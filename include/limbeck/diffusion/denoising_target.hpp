#ifndef LIMBECK_DIFFUSION_DENOISING_TARGET_HPP
#define LIMBECK_DIFFUSION_DENOISING_TARGET_HPP

/// @file
/// What a denoiser is trained to predict.

#include <limbeck/diffusion/formula.hpp>
#include <limbeck/diffusion/prediction.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class Kind, class Levels>
struct denoising_numbers {
  Kind kind;
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const prediction_form f = kind.form(at(row), at.slope(row));
    return {{f.clean, f.noise}};
  }
};

}  // namespace detail

/// What a prediction of a kind should be, p x + q e: the teacher's side of `mse{}` in denoising score matching,
/// `objective(predicted, denoising_target(predicts_velocity{}, x, e, at), into(g))`.
///
/// Of generated samples it is the loss of the fake score in distribution matching. The minimum is E[p x + q e | x_t]. Held fixed: x
/// and e, so that nothing goes back to the generator.
/// @param kind what the network predicts
/// @param x samples, samples x dimensions
/// @param e the noise of x_t = a x + s e, of the same shape
/// @param at their levels
/// A target, as `noised`, with its errors. O(samples x dimensions).
///
/// Ho, Jain and Abbeel, Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239; Vincent, A Connection Between Score Matching
/// and Denoising Autoencoders, 2011.
template <prediction_kind Kind, class X, class E, row_levels L>
auto denoising_target(const Kind& kind, X&& x, E&& e, const L& at) {
  return detail::checked_levels(at, detail::combined("the noise of denoising_target", detail::denoising_numbers<Kind, L>{kind, at},
                                                     std::forward<X>(x), std::forward<E>(e)));
}

LIMBECK_END_NAMESPACE

#endif
