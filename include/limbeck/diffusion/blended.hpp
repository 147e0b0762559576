#ifndef LIMBECK_DIFFUSION_BLENDED_HPP
#define LIMBECK_DIFFUSION_BLENDED_HPP

/// @file
/// One tensor where a mask is 1, another where it is 0.

#include <limbeck/diffusion/formula.hpp>

LIMBECK_BEGIN_NAMESPACE

/// m a + (1 - m) b; made by `blended`.
template <class Mask, class A, class B>
struct blended_formula : detail::formula<blended_formula<Mask, A, B>, Mask, A, B> {
  /// @cond
  template <class M, class F, class S>
  struct reader {
    M mask;
    F a;
    S b;
    template <class Here>
    LIMBECK_INLINE typename Here::number read(const Here& here) const {
      using X = typename Here::number;
      const X m = here(mask);
      return m * here(a) + (X(1) - m) * here(b);
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto of = this->sources.open(r, memory_);
    return reader_of(of.first, of.rest.first, of.rest.rest.first);
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class M, class F, class S>
  LIMBECK_HOST_DEVICE static reader<M, F, S> reader_of(const M& mask, const F& a, const S& b) {
    return {mask, a, b};
  }
  template <class... S>
  auto settled_with(const detail::source_list<S...>& s) const {
    return blended_formula<S...>{{s}};
  }
  /// @endcond
};

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
  const auto made = [](const auto&... s) {
    detail::check_sources("a tensor of blended", s...);
    return blended_formula<std::remove_cvref_t<decltype(s)>...>{{detail::list_of(s...)}};
  };
  return made(detail::as_target(std::forward<Mask>(mask)), detail::as_target(std::forward<A>(a)), detail::as_target(std::forward<B>(b)));
}

LIMBECK_END_NAMESPACE

#endif
