#ifndef LIMBECK_DIFFUSION_DELTA_SCORE_HPP
#define LIMBECK_DIFFUSION_DELTA_SCORE_HPP

/// @file
/// Score distillation against a reference that is noised by the same noise.

#include <limbeck/diffusion/variational_score.hpp>

LIMBECK_BEGIN_NAMESPACE

/// c (p - q) + d (x - y) with numbers of the row; made by `delta_score`.
template <class Numbers, class P, class Q, class X, class Y>
struct delta_score_gradient : detail::formula<delta_score_gradient<Numbers, P, Q, X, Y>, P, Q, X, Y> {
  Numbers numbers;  ///< c and d of a row

  /// @cond
  template <class T, class A, class B, class C, class D>
  struct reader {
    detail::team_array<T, 2> by;
    detail::reader_list<A, B, C, D> of;
    template <class Here>
    LIMBECK_INLINE typename Here::number read(const Here& here) const {
      using N = typename Here::number;
      const auto& samples_ = of.rest.rest;
      return N(by.v[0]) * (here(of.first) - here(of.rest.first)) + N(by.v[1]) * (here(samples_.first) - here(samples_.rest.first));
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto c = numbers(r.index);
    return reader_of(detail::team_array<T, 2>{{static_cast<T>(c.v[0]), static_cast<T>(c.v[1])}}, this->sources.open(r, memory_));
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class T, class... R>
  LIMBECK_HOST_DEVICE static auto reader_of(const detail::team_array<T, 2>& by, const detail::reader_list<R...>& of) {
    return reader<T, R...>{by, of};
  }
  template <class... S>
  auto settled_with(const detail::source_list<S...>& s) const {
    return delta_score_gradient<Numbers, S...>{{s}, numbers};
  }
  /// @endcond
};

namespace detail {

template <class Kind, class Levels, class Weight>
struct delta_numbers {
  static_assert(level_weight<Weight>, "limbeck: a weight of levels is a small copyable function of a noise_level that gives a number, as kl_weight{}");
  Kind kind;
  Levels at;
  Weight weight;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row) const {
    const noise_level l = at(row);
    const double w = static_cast<double>(weight(l));
    const auto c = by_forms(kind.form(l, at.slope(row)), l, {0, 1});
    return {{w * c.v[0], w * c.v[1] * l.signal}};
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
  const auto made = [&](const auto&... s) {
    detail::check_sources("a tensor of delta_score", s...);
    using Numbers = detail::delta_numbers<Kind, L, W>;
    return delta_score_gradient<Numbers, std::remove_cvref_t<decltype(s)>...>{{detail::list_of(s...)}, Numbers{kind, at, weight}};
  };
  return detail::checked_levels(at, made(detail::as_target(std::forward<P>(of_sample)), detail::as_target(std::forward<Q>(of_reference)),
                                         detail::as_target(std::forward<X>(x)), detail::as_target(std::forward<Y>(reference))));
}

LIMBECK_END_NAMESPACE

#endif
