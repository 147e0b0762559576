#ifndef LIMBECK_DIFFUSION_DELTA_SCORE_HPP
#define LIMBECK_DIFFUSION_DELTA_SCORE_HPP

/// @file
/// Score distillation against a reference that is noised by the same noise.

#include <limbeck/diffusion/variational_score.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class Kind, class Levels, class Weight>
struct delta_rule {
  static_assert(level_weight<Weight>, "limbeck: a weight of levels is a small copyable function of a noise_level that gives a number, as kl_weight{}");
  Kind kind;
  Levels at;
  Weight weight;
  /// c (p - q) + d (x - y).
  template <class T>
  struct function {
    T c, d;
    template <class N>
    LIMBECK_INLINE N operator()(const N& p, const N& q, const N& x, const N& y) const {
      return N(c) * (p - q) + N(d) * (x - y);
    }
  };
  template <class T>
  LIMBECK_HOST_DEVICE function<T> of(std::size_t row) const {
    const noise_level l = at(row);
    const double w = static_cast<double>(weight(l));
    const auto by = by_forms(kind.form(l, at.slope(row)), l, {0, 1});
    return {static_cast<T>(w * by.v[0]), static_cast<T>(w * by.v[1] * l.signal)};
  }
};

}  // namespace detail

/// The gradient by samples x of delta denoising: w(level) (e(x_t) - e(y_t)), of the noise that a teacher says of x and of a reference y
/// which are noised by the same e. The bias of score distillation, which both have, cancels; so does e, and with a the signal
///
///     e(x_t) - e(y_t) = c (p - q) + d a (x - y),
///
/// where c and d make noise of a prediction and of x_t (`to_noise`): of clean predictions, a/s ((x - y) - (p - q)). It is 0 where x = y
/// and p = q, to the bit.
///
/// The loss that reads it is `specified_gradient`. Held fixed: all four.
/// @param kind of both predictions
/// @param of_sample,of_reference what the teacher predicts of x_t, and of y_t (p and q), samples x dimensions
/// @param x,reference the samples, and what they are held against: an image and its edit, a student's result and its teacher's
/// @param at their levels
/// @param weight of a level, as of `variational_score`
/// Of predictions of noise it is w (p - q), which `variational_score(predicts_noise{}, p, q, at, weight)` says without reading x and
/// y. O(samples x dimensions), one pass; errors as `variational_score`.
///
/// Hertz, Aberman and Cohen-Or, Delta Denoising Score, 2023, arXiv:2304.07090; the high-frequency score distillation of TAD-SR
/// (2024, arXiv:2408.07476) on `residual_shifting`, with the teacher's result as the reference.
template <prediction_kind Kind, class P, class Q, class X, class Y, row_levels L, class W = uniform_weight>
auto delta_score(const Kind& kind, P&& of_sample, Q&& of_reference, X&& x, Y&& reference, const L& at, const W& weight = {}) {
  return detail::checked_levels(at, detail::by_rule("a tensor of delta_score", detail::delta_rule<Kind, L, W>{kind, at, weight},
                                                    std::forward<P>(of_sample), std::forward<Q>(of_reference), std::forward<X>(x),
                                                    std::forward<Y>(reference)));
}

LIMBECK_END_NAMESPACE

#endif
