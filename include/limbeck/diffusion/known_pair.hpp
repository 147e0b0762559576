#ifndef LIMBECK_DIFFUSION_KNOWN_PAIR_HPP
#define LIMBECK_DIFFUSION_KNOWN_PAIR_HPP

/// @file
/// What a network would predict of a sample and a noise that are known.

#include <limbeck/diffusion/prediction.hpp>

#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class Kind, class Levels>
struct pair_numbers {
  Kind kind;
  Levels at;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const prediction_form f = kind.form(at(row), at.slope(row));
    return {{f.clean, f.noise}};
  }
};

}  // namespace detail

/// p x + q e: what a network of this kind predicts of `noised(x, e, at)` where both are known; of `predicts_velocity` on `rectified` e - x.
///
/// @param kind `predicts_velocity` and the like
/// @param x clean samples, samples x dimensions; @param e the noise, of the same shape; @param at `levels(path, t)`
/// The target of all training of denoisers, by `mse`. With x = what a teacher's sampler made of e, the same pairs at every time, it is reflow:
/// the student's paths become straight, and one step is enough.
/// A target, held fixed. O(samples x dimensions). @throws shape_error where shapes differ or there is not one time a row.
///
/// Liu, Gong and Liu, Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow, 2022, arXiv:2209.03003; Liu et al.,
/// InstaFlow: One Step is Enough for High-Quality Diffusion-Based Text-to-Image Generation, 2023, arXiv:2309.06380.
template <prediction_kind Kind, class X, class E, row_levels L>
auto prediction_of(const Kind& kind, X&& x, E&& e, const L& at) {
  return detail::checked_levels(at, detail::combined("the noise of prediction_of", detail::pair_numbers<Kind, L>{kind, at}, std::forward<X>(x),
                                                     std::forward<E>(e)));
}

LIMBECK_END_NAMESPACE

#endif
