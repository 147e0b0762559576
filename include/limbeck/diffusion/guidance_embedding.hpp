#ifndef LIMBECK_DIFFUSION_GUIDANCE_EMBEDDING_HPP
#define LIMBECK_DIFFUSION_GUIDANCE_EMBEDDING_HPP

/// @file
/// TeEFusion: guidance as a part of the embedding that a student is conditioned by.

#include <limbeck/core/errors.hpp>
#include <limbeck/diffusion/formula.hpp>

LIMBECK_BEGIN_NAMESPACE

/// z + g f/divisor; made by `guidance_embedding`.
template <class Embedding, class Scale, class Difference>
struct guidance_embedding_target : detail::formula<guidance_embedding_target<Embedding, Scale, Difference>, Embedding, Scale, Difference> {
  double divisor;  ///< of the product

  /// @cond
  template <class T, class E, class G, class F>
  struct reader {
    E embedding;
    G scale;
    F difference;
    T by;
    template <class Here>
    LIMBECK_INLINE typename Here::number read(const Here& here) const {
      return here(embedding) + typename Here::number(by) * here(scale) * here(difference);
    }
  };
  template <class Row, class T>
  LIMBECK_HOST_DEVICE auto open(const Row& r, std::span<T> memory_) const {
    const auto of = this->sources.open(r, memory_);
    return made<T>(of.first, of.rest.first, of.rest.rest.first);
  }
  auto settled(double at) const { return settled_with(this->sources.settled(at)); }

 private:
  template <class T, class E, class G, class F>
  LIMBECK_HOST_DEVICE reader<T, E, G, F> made(const E& e, const G& g, const F& f) const {
    return {e, g, f, static_cast<T>(1 / divisor)};
  }
  template <class... S>
  auto settled_with(const detail::source_list<S...>& s) const {
    return guidance_embedding_target<S...>{{s}, divisor};
  }
  /// @endcond
};

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
  const auto made = [&](const auto& z, const auto& g, const auto& f) {
    detail::check_sources("an embedding of guidance_embedding", z, g, f);
    return guidance_embedding_target<std::remove_cvref_t<decltype(z)>, std::remove_cvref_t<decltype(g)>, std::remove_cvref_t<decltype(f)>>{
        {detail::list_of(z, g, f)}, options.divisor};
  };
  return made(detail::as_target(std::forward<E>(embedding)), detail::as_target(std::forward<G>(of_scale)),
              detail::as_target(std::forward<F>(difference)));
}

LIMBECK_END_NAMESPACE

#endif
