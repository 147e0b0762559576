#ifndef LIMBECK_DIFFUSION_MASKING_HPP
#define LIMBECK_DIFFUSION_MASKING_HPP

/// @file
/// Masked diffusion of tokens: what is left of a text at a time, and what a token that is gone weighs in the likelihood.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Where masking stands at a time t in [0, 1]: a token is still there with the probability alpha_t, and a mask otherwise.
struct masking_level {
  double kept;   ///< alpha_t, in [0, 1]
  double slope;  ///< its derivative by t, not positive
  double gone = 1 - kept;  ///< 1 - alpha_t; a path that knows it better than by the difference, which cancels near t = 0, says so
  /// -alpha'_t/(1 - alpha_t): what the cross-entropy of a masked token weighs in the likelihood's bound; infinite where all is kept.
  constexpr double weight() const { return gone > 0 ? -slope / gone : std::numeric_limits<double>::infinity(); }
};

/// Which level a time has: `p.level(t)`, falling from 1 at t = 0.
template <class P>
concept masking_path = requires(const P& p, double t) {
  { p.level(t) } -> std::same_as<masking_level>;
};

/// alpha_t = 1 - (1 - rest) t: the weight is 1/t.
///
/// Lou, Meng and Ermon, Discrete Diffusion Modeling by Estimating the Ratios of the Data Distribution (SEDD), 2023,
/// arXiv:2310.16834; "log-linear", as its total noise is -log alpha_t.
struct log_linear_masking {
  double rest = 1e-3;  ///< what is kept at t = 1, in [0, 1)
  /// At time t.
  constexpr masking_level level(double t) const { return {1 - (1 - rest) * t, -(1 - rest), (1 - rest) * t}; }
};
/// alpha_t = rest + (1 - rest) cos(pi t/2), 1 - alpha_t = (1 - rest) 2 sin^2(pi t/4). As in the codes of Sahoo et al., MDLM, 2024, arXiv:2406.07524.
struct cosine_masking {
  double rest = 1e-3;  ///< what is kept at t = 1, in [0, 1)
  /// At time t.
  masking_level level(double t) const {
    const double half = std::numbers::pi / 2, root = std::sin(half * t / 2);
    return {rest + (1 - rest) * std::cos(half * t), -(1 - rest) * half * std::sin(half * t), (1 - rest) * 2 * root * root};
  }
};

/// @cond
namespace detail {
inline void check_tokens(const char* name, std::size_t size, const segments& s) {
  if (size != s.rows()) throw_length(name, size, s.rows(), "one a row of the sequences");
}
inline double masking_time(const char* name, const any_vector& times, std::size_t s) {
  const double t = times.number(s);
  if (!(t >= 0 && t <= 1))
    raise<value_error>(std::string("limbeck: ") + name + " of sequence " + std::to_string(s) + " is " + show(t) + ", expected a time in [0, 1]");
  return t;
}
inline any_vector masking_times(const char* name, const any_vector& times, const segments& s) {
  if (times.size() != s.size()) throw_length(name, times.size(), s.size(), "one a sequence");
  for (std::size_t i = 0; i < s.size(); ++i) (void)masking_time(name, times, i);
  return times;
}
/// The level of sequence @p s, whose alpha is a probability.
template <class Path>
masking_level level_of(const Path& path, const any_vector& times, std::size_t s) {
  const masking_level at = path.level(times.number(s));
  if (!(at.kept >= 0 && at.kept <= 1))
    raise<value_error>("limbeck: alpha of sequence " + std::to_string(s) + " is " + show(at.kept) + " at time " + show(times.number(s)) +
                       ", expected a number in [0, 1]; rest of a path lies in [0, 1)");
  return at;
}
template <class Path>
void check_levels(const Path& path, const any_vector& times, std::size_t sequences) {
  for (std::size_t i = 0; i < sequences; ++i) (void)level_of(path, times, i);
}
}  // namespace detail
/// @endcond

/// Each token of sequence i becomes @p mask with the probability 1 - alpha at times[i], on its own.
///
/// @param s the sequences that the rows are of
/// @param path of masking; @param tokens one a row of @p s; @param times one a sequence, in [0, 1]
/// @param mask the token that stands for none
/// @param stream is not moved on; the token at a place of sequence i is drawn by `stream.split(first + i).split(place)`, so that it does not
///   depend on what stands beside it
/// @param out as @p tokens, which it may be
/// @param first the number of the first sequence in the whole batch
/// O(tokens), and allocates nothing.
/// @throws shape_error where a length does not fit, value_error naming the sequence whose time or alpha is not in [0, 1]; @p out is left as
///   it was.
template <masking_path Path, detail::sized_memory Times>
void mask_tokens(const Path& path, std::span<const token_id> tokens, const segments& s, const Times& times, token_id mask,
                 const random_stream& stream, std::span<token_id> out, std::size_t first = 0) {
  detail::check_tokens("tokens", tokens.size(), s), detail::check_tokens("out", out.size(), s);
  const any_vector t = detail::masking_times("time", detail::view_vector(times), s);
  detail::check_levels(path, t, s.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    const double kept = path.level(t.number(i)).kept;
    const random_stream mine = stream.split(first + i);
    for (std::size_t r = s.begin(i); r < s.end(i); ++r)
      out[r] = mine.split(r - s.begin(i)).uniform() < kept ? tokens[r] : mask;
  }
}

/// out_r = -alpha'/(1 - alpha) at the time of r's sequence where its token is @p mask, else 0: weights of `cross_entropy`.
///
/// `given(w) * cross_entropy{}` with the texts before masking as labels: its mean over all tokens, over times uniform in [0, 1], bounds
/// the negative log-likelihood a token from above, and is it where the model's distributions are the true ones. No class of the
/// logits stands for the mask, or it has -inf there.
/// @param path of the times
/// @param s the sequences that the rows are of
/// @param times one a sequence, in [0, 1]
/// @param mask the class of the mask
/// @param out where it is written
/// @param masked what `mask_tokens` wrote; others as there
/// O(tokens), and allocates nothing. @throws as mask_tokens(), and value_error where a weight is not finite: at t = 0.
///
/// Sahoo et al., Simple and Effective Masked Diffusion Language Models (MDLM), 2024, arXiv:2406.07524, with its codes.
template <masking_path Path, detail::sized_memory Times, class Out>
void elbo_weights(const Path& path, std::span<const token_id> masked, const segments& s, const Times& times, token_id mask, Out&& out) {
  detail::check_tokens("masked", masked.size(), s);
  const any_vector t = detail::masking_times("time", detail::view_vector(times), s);
  const auto to = detail::output_vector("out", out, s.rows());
  detail::check_levels(path, t, s.size());
  const auto weight = [&](std::size_t i) { return path.level(t.number(i)).weight(); };
  for (std::size_t i = 0; i < s.size(); ++i)
    if (!(weight(i) < 1e300))
      raise<value_error>("limbeck: time of sequence " + std::to_string(i) + " is " + detail::show(t.number(i)) + ", where a mask has no finite weight");
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) detail::put(to, r, masked[r] == mask ? weight(i) : 0.0);
}

LIMBECK_END_NAMESPACE

#endif
