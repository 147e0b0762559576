#ifndef LIMBECK_DIFFUSION_BLENDED_HPP
#define LIMBECK_DIFFUSION_BLENDED_HPP

/// @file
/// One tensor where a mask is 1, another where it is 0.

#include <limbeck/diffusion/formula.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

struct blending {
  template <class T>
  LIMBECK_HOST_DEVICE blending of(std::size_t) const {
    return {};
  }
  template <class N>
  LIMBECK_INLINE N operator()(const N& m, const N& a, const N& b) const {
    return m * a + (N(1) - m) * b;
  }
};

}  // namespace detail

/// m a + (1 - m) b, element by element: a where a mask is 1, b where it is 0, exactly.
///
/// With predictions as a and the samples themselves as b, distribution matching leaves the masked part alone, in its divisor too:
/// `distribution_matching(x, blended(m, real, x), blended(m, fake, x))`. Padding, a prompt and pixels to keep are masked so.
/// @param mask tensor or target of numbers in [0, 1], of the scalar type of the others
/// @param a,b tensors or targets of its shape
/// A formula. What is masked is read: a NaN there comes through. O(samples x dimensions). @throws shape_error where shapes differ.
///
/// As the masks of the authors' code of DMOSpeech 2 (Li, Jiang, Mesgarani and others, 2025, arXiv:2507.14988).
template <class Mask, class A, class B>
auto blended(Mask&& mask, A&& a, B&& b) {
  return detail::by_rule("a tensor of blended", detail::blending{}, std::forward<Mask>(mask), std::forward<A>(a), std::forward<B>(b));
}

LIMBECK_END_NAMESPACE

#endif
