#ifndef LIMBECK_DIFFUSION_TILTED_HPP
#define LIMBECK_DIFFUSION_TILTED_HPP

/// @file
/// Logits that a critic's gradient tilts.

#include <limbeck/diffusion/formula.hpp>

#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// l + h clamp(g, -clip, clip); made by `tilted`.
template <class Logits, class Gradient>
struct tilted_logits : detail::formula<tilted_logits<Logits, Gradient>, Logits, Gradient> {
  double h;     ///< how far
  double clip;  ///< of the gradient

  /// @cond
  template <class T, class L, class G>
  struct reader {
    L logits;
    G gradient;
    T h, clip;
    template <class Here>
    LIMBECK_INLINE typename Here::number read(const Here& here) const {
      using X = typename Here::number;
      return here(logits) + X(h) * larger(X(-clip), smaller(X(clip), here(gradient)));  // which keep a NaN on their right
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto of = this->sources.open(r, memory_);
    return made(of.first, of.rest.first, static_cast<T>(h), static_cast<T>(clip));
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class L, class G, class T>
  LIMBECK_HOST_DEVICE static reader<T, L, G> made(const L& logits, const G& gradient, T by, T most) {
    return {logits, gradient, by, most};
  }
  template <class... S>
  auto settled_with(const detail::source_list<S...>& s) const {
    return tilted_logits<S...>{{s}, h, clip};
  }
  /// @endcond
};

/// l + h clamp(g, -clip, clip): a student's logits moved to where a critic's output rises.
///
/// @param logits of the student, a row a token, a tensor or target; @param gradient of the critic's output by them, of the same shape, held fixed
/// @param h how far, finite; @param clip positive
/// `fill(tilted(logits, g, 30.0), out)` before `unmask`. O(tokens x classes), in one pass.
/// @throws shape_error where shapes differ; value_error where h is not finite or clip not positive.
///
/// The first half of the steps of DiDi-Instruct's reward-guided sampler, Zheng et al., 2025, arXiv:2509.25035, with its codes.
template <class L, class G>
auto tilted(L&& logits, G&& gradient, double h, double clip = 1) {
  if (h - h != 0) raise<value_error>("limbeck: h of tilted is " + detail::show(h) + ", expected a finite number");
  if (!(clip > 0)) raise<value_error>("limbeck: clip of tilted is " + detail::show(clip) + ", expected a positive number");
  const auto l = detail::as_target(std::forward<L>(logits));
  const auto g = detail::as_target(std::forward<G>(gradient));
  detail::check_sources("the gradient of tilted", l, g);
  return tilted_logits<std::remove_cvref_t<decltype(l)>, std::remove_cvref_t<decltype(g)>>{{detail::list_of(l, g)}, h, clip};
}

LIMBECK_END_NAMESPACE

#endif
