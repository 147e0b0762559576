#ifndef LIMBECK_DIFFUSION_GUIDANCE_EMBEDDING_HPP
#define LIMBECK_DIFFUSION_GUIDANCE_EMBEDDING_HPP

/// @file
/// TeEFusion: guidance as a part of the embedding that a student is conditioned by.

#include <limbeck/core/errors.hpp>
#include <limbeck/diffusion/formula.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// z + by g f.
struct embedding_rule {
  double divisor;
  template <class T>
  struct function {
    T by;
    template <class N>
    LIMBECK_INLINE N operator()(const N& embedding, const N& scale, const N& difference) const {
      return embedding + N(by) * scale * difference;
    }
  };
  template <class T>
  LIMBECK_HOST_DEVICE function<T> of(std::size_t) const {
    return {static_cast<T>(1 / divisor)};
  }
};

}  // namespace detail

/// What `guidance_embedding` takes beside its tensors.
struct guidance_embedding_options {
  double divisor = 1;  ///< of the product, positive; 256 in the authors' code
};

/// The embedding of a student that is guided in one pass: z + g f/divisor, element by element.
///
/// @param embedding z = G(psi(t)) + F(c), of time and text, samples x dimensions
/// @param of_scale g = G(psi(w)): the network's embedding of times, of the scale of guidance (the authors' code gives it 1000 w)
/// @param difference f = F(c - c_empty): its embedding of texts, of the difference between a text and none
/// @param options the divisor
/// A target: it is written by `fill`. What comes back: to z the gradient itself, to g that times f/divisor, to f that times g/divisor.
/// The student's loss is `mse` to `guided_from_conditional(c, u, w)` of the teacher, with w drawn uniformly for each row by
/// `draw_times(uniform_times{...}, ...)`; the teacher is held fixed.
/// @throws shape_error where shapes differ, value_error where the divisor is not positive and finite.
///
/// TeEFusion: Blending Text Embeddings to Distill Classifier-Free Guidance, 2025, arXiv:2507.18192, and the authors' code.
template <class E, class G, class F>
auto guidance_embedding(E&& embedding, G&& of_scale, F&& difference, const guidance_embedding_options& options = {}) {
  if (!(options.divisor > 0 && options.divisor < 1e300))
    raise<value_error>("limbeck: divisor of guidance_embedding is " + detail::show(options.divisor) + ", expected a finite positive number");
  return detail::by_rule("an embedding of guidance_embedding", detail::embedding_rule{options.divisor}, std::forward<E>(embedding),
                         std::forward<G>(of_scale), std::forward<F>(difference));
}

LIMBECK_END_NAMESPACE

#endif
