#ifndef LIMBECK_DIFFUSION_LEARNED_SAMPLER_HPP
#define LIMBECK_DIFFUSION_LEARNED_SAMPLER_HPP

/// @file
/// A sampler of few steps that learns a number a step from one of many (LSD, LSD+).

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/diffusion/masking.hpp>
#include <limbeck/engine/target.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// sum s* s / sum s s over all elements: the Phi that minimises |s* - Phi s|^2, of the concrete scores s of a student's texts and s* of
/// its teacher's. 1 where the two are the same.
///
/// It is the `scale` of a step of `concrete_euler` (LSD, where both are taken at one time). Times the size of the teacher's step it is the student's
/// step kappa that minimises |(T/N) s* - kappa s|^2 with s held fixed (LSD+, where s is taken at tau_k, which contains kappa_k: with s moving along
/// it is no minimiser). Scores are held fixed: nothing goes through the draws of texts. For another distance d a gradient
/// step on Phi has the slope `scale_slope(g, s)`, g the gradient of d by Phi s.
/// @param reference s*; @param own s; tensors on the host, of one shape and scalar type
/// @throws shape_error where shapes differ; value_error where a score or the result is not finite or own is 0 everywhere. O(elements), sums in double.
///
/// Fu et al., Learnable Sampler Distillation for Discrete Diffusion Models, 2025, arXiv:2509.19962, at the squared distance (the paper leaves d open).
template <tensor Reference, tensor Own>
double score_scale(const Reference& reference, const Own& own);
/// sum g s over all elements: the slope by Phi of a loss that has the gradient g by Phi s. Errors as score_scale().
template <tensor Gradient, tensor Own>
double scale_slope(const Gradient& g, const Own& own);

/// @cond
namespace detail {
/// The least power of 2 above all of them, as an exponent that stays away from the ends; the products of what is scaled by it do not
/// underflow or overflow.
template <class A>
int exponent_of_scores(const rows<A>& x) {
  double largest = 0;
  for (std::size_t r = 0; r < x.samples; ++r)
    for (std::size_t c = 0; c < x.classes; ++c) {
      const double v = std::fabs(static_cast<double>(x(r, c)));
      if (v - v != 0) raise<value_error>("limbeck: a score in row " + std::to_string(r) + " is not finite at class " + std::to_string(c));
      largest = v > largest ? v : largest;
    }
  int e = 0;
  (void)std::frexp(largest, &e);
  return e > 1000 ? 1000 : e < -1000 ? -1000 : e;
}
struct scaled_product {
  double total;          // times 2^(first + second)
  int first, second;
};
template <class A, class B>
scaled_product product_of_scores(const A& a, const B& b) {
  require_host<A, B>();
  const auto x = tensor_traits<A>::view(a);
  const auto y = tensor_traits<B>::view(b);
  if (x.samples != y.samples || x.classes != y.classes) throw_shape("own", y.samples, y.classes, x.samples, x.classes);
  scaled_product out{0, exponent_of_scores(x), exponent_of_scores(y)};
  const double of_x = std::ldexp(1.0, -out.first), of_y = std::ldexp(1.0, -out.second);
  for (std::size_t r = 0; r < x.samples; ++r)
    for (std::size_t c = 0; c < x.classes; ++c) out.total += static_cast<double>(x(r, c)) * of_x * (static_cast<double>(y(r, c)) * of_y);
  return out;
}
inline double finite_number(const char* name, double v) {
  if (v - v != 0) raise<value_error>(std::string("limbeck: ") + name + " is " + show(v) + ", expected a finite number");
  return v;
}
}  // namespace detail
template <tensor Reference, tensor Own>
double score_scale(const Reference& reference, const Own& own) {
  const detail::scaled_product of_both = detail::product_of_scores(reference, own), of_own = detail::product_of_scores(own, own);
  if (!(of_own.total > 0)) raise<value_error>("limbeck: own scores are all 0, and no scale makes them others");
  return detail::finite_number("the scale of scores", std::ldexp(of_both.total / of_own.total, of_both.first - of_own.first));
}
template <tensor Gradient, tensor Own>
double scale_slope(const Gradient& g, const Own& own) {
  const detail::scaled_product p = detail::product_of_scores(g, own);
  return detail::finite_number("the slope by the scale of scores", std::ldexp(p.total, p.first + p.second));
}
/// @endcond

/// The times of learned steps: T, T - kappa_1, T - kappa_1 - kappa_2, ..., to @p out, one more than steps. Even steps are the start.
/// @throws shape_error where @p out has not one number more; value_error naming a step that is not positive, leads below 0, or to
/// no earlier time, as after 0.
inline void times_of_steps(std::span<const double> steps, std::span<double> out, double last = 1) {
  if (out.size() != steps.size() + 1) detail::throw_length("out", out.size(), steps.size() + 1, "one more than steps");
  const auto next = [&](double t, std::size_t k) { return t - steps[k] > 1e-12 ? t - steps[k] : 0; };  // the last is 0 but for rounding
  double t = last;
  for (std::size_t k = 0; k < steps.size(); t = next(t, k), ++k)
    if (!(steps[k] > 0 && t - steps[k] >= -1e-12 && next(t, k) < t))
      raise<value_error>("limbeck: step " + std::to_string(k) + " is " + detail::show(steps[k]) + ", expected a positive number that leads to an earlier time, none below 0");
  out[0] = t = last;
  for (std::size_t k = 0; k < steps.size(); ++k) out[k + 1] = t = next(t, k);
}

/// Changes floor(share length) tokens of each sequence, at places that are all as likely, to other tokens below @p classes, all as likely: texts at
/// that Hamming distance, from which a student starts while it learns.
///
/// @param s the sequences that the rows are of
/// @param classes tokens are below it
/// @param first the number of the first sequence, where a call has a part of them
/// @param x one token a row of @p s; written. @param share in [0, 1]; the paper's is 0.05
/// @param stream is not moved on; sequence i is changed by `stream.split(first + i)`
/// @throws shape_error where a length does not fit; value_error where share is not in [0, 1] or there are no two classes. O(tokens).
///
/// Fu et al., 2025, arXiv:2509.19962.
inline void perturb_tokens(std::span<token_id> x, const segments& s, std::size_t classes, double share, const random_stream& stream,
                           std::size_t first = 0) {
  detail::check_tokens("x", x.size(), s);
  if (!(share >= 0 && share <= 1)) raise<value_error>("limbeck: share of perturb_tokens is " + detail::show(share) + ", expected a number in [0, 1]");
  if (classes < 2) raise<value_error>("limbeck: classes of perturb_tokens is " + std::to_string(classes) + ", expected 2 at least");
  for (std::size_t i = 0; i < s.size(); ++i) {
    random_stream mine = stream.split(first + i);
    auto wanted = static_cast<std::size_t>(share * static_cast<double>(s.length(i)) + 1e-9);
    for (std::size_t r = s.begin(i), left = s.length(i); wanted > 0; ++r, --left) {  // of those left, as many as wanted
      if (mine.below(left) >= wanted) continue;
      --wanted;
      const bool known = x[r] >= 0 && std::cmp_less(x[r], classes);
      auto other = static_cast<token_id>(mine.below(known ? classes - 1 : classes));
      if (known && other >= x[r]) ++other;
      x[r] = other;
    }
  }
}

LIMBECK_END_NAMESPACE

#endif
