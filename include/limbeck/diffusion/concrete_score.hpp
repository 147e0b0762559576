#ifndef LIMBECK_DIFFUSION_CONCRETE_SCORE_HPP
#define LIMBECK_DIFFUSION_CONCRETE_SCORE_HPP

/// @file
/// Discrete diffusion by ratios of probabilities: Euler's step by a rate matrix, with a learned scale.

#include <limbeck/diffusion/unmask.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Tokens become a mask, at rate 1, and stay one.
struct absorbing_rates {
  token_id mask;  ///< a class of the scores
  /// From token @p y to another, @p x.
  double operator()(token_id, token_id x, std::size_t) const { return x == mask ? 1 : 0; }
};
/// Tokens become any token, at rate 1/classes each.
struct uniform_rates {
  /// From token y to another, x.
  double operator()(token_id, token_id, std::size_t classes) const { return 1 / static_cast<double>(classes); }
};

/// How `concrete_euler` steps.
struct concrete_euler_options {
  double scale = 1;        ///< Phi: what multiplies all scores, finite and at least 0
  token_id never = -1;     ///< a token that is not drawn, as the mask in the last step; negative: none
  std::uint64_t seed = 0;  ///< of all that is random
  std::size_t first = 0;   ///< the number of the first sequence, where a call writes a part of them
};

/// Euler's step of the reverse jump process from time t to u < t: p(y) = (t - u) sigma'_t Q(y, x) Phi s(x, t)_y for y other than the token x, and
/// what is left of 1 for x itself. sigma'_t = -alpha'_t/alpha_t is the rate of noise, s_y the concrete score p_t(.. y ..)/p_t(.. x ..).
///
/// @param x one token a row; written
/// @param s the sequences that the rows are of
/// @param from t, one a sequence
/// @param to u, one a sequence
/// @param how scale and draws
/// @param step numbers the draws
/// @param path of masking, or any `masking_path`, whose total noise is -log alpha_t
/// @param rates Q(y, x, classes), of jumps forward from y to x: `absorbing_rates`, `uniform_rates`
/// @param scores a row a token, a tensor on the host of finite numbers of at least 0; that of x itself is not read. For masks they are
///   alpha_t/(1 - alpha_t) times the probabilities of clean tokens; with these and `log_linear_masking` this step is `unmask`.
/// Others as in unmask(). Where probabilities exceed 1, nothing is left for x, and they are divided by their sum. O(tokens x classes).
/// @throws shape_error where a length does not fit; value_error where a time, its alpha or an option is out of its range, or naming the row and
///   class of a score that is none, the row whose rate is infinite, as at t = 1 where `rest` is 0, or the row in which nothing can be drawn; @p x
///   is left as it was.
///
/// Lou, Meng and Ermon, SEDD, 2023, arXiv:2310.16834, with its codes; the scale: Fu et al., Learnable Sampler Distillation
/// for Discrete Diffusion Models (LSD), 2025, arXiv:2509.19962.
template <masking_path Path, class Rates, detail::logits_of_tokens Scores, detail::sized_memory From, detail::sized_memory To>
void concrete_euler(const Path& path, const Rates& rates, const Scores& scores, std::span<token_id> x, const segments& s, const From& from,
                    const To& to, const concrete_euler_options& how = {}, std::size_t step = 0) {
  detail::check_tokens("x", x.size(), s);
  const any_vector t = detail::view_vector(from), u = detail::view_vector(to);
  detail::check_fall(t, u, s);
  detail::check_levels(path, t, s.size());
  if (!(how.scale >= 0 && how.scale < 1e300))
    raise<value_error>("limbeck: scale of concrete_euler is " + detail::show(how.scale) + ", expected a finite number of at least 0");
  const detail::scored<const Scores&> of_tokens{scores};
  const std::size_t classes = of_tokens.classes();
  if (of_tokens.size() != x.size()) detail::throw_shape("scores", of_tokens.size(), classes, x.size(), classes);
  std::vector<double> p(classes);
  std::vector<token_id> drawn(x.begin(), x.end());
  for (std::size_t i = 0; i < s.size(); ++i) {
    const masking_level at = path.level(t.number(i));
    const double by = (t.number(i) - u.number(i)) * (-at.slope / at.kept) * how.scale;  // infinite where nothing is kept
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) {
      of_tokens.read(r, p);
      double leaves = 0;
      for (std::size_t y = 0; y < classes; ++y) {
        const auto token = static_cast<token_id>(y);
        const double rate = token == x[r] ? 0 : rates(token, x[r], classes), pace = rate != 0 ? by * rate : 0;
        if (pace - pace != 0)
          raise<value_error>("limbeck: the rate of row " + std::to_string(r) + " is " + detail::show(pace) + " at time " + detail::show(t.number(i)) +
                             ", where alpha is " + detail::show(at.kept) + ", expected a finite number: a rest above 0, or an earlier time");
        if (rate != 0 && !(p[y] >= 0 && p[y] < 1e300))
          raise<value_error>("limbeck: the score of token " + std::to_string(y) + " in row " + std::to_string(r) + " is " + detail::show(p[y]) +
                             ", expected a finite number of at least 0");
        p[y] = rate != 0 ? pace * p[y] : 0;
        leaves += p[y];
      }
      if (x[r] >= 0 && std::cmp_less(x[r], classes)) p[static_cast<std::size_t>(x[r])] = leaves < 1 ? 1 - leaves : 0;
      if (how.never >= 0 && std::cmp_less(how.never, classes)) p[static_cast<std::size_t>(how.never)] = 0;
      double total = 0;
      for (const double v : p) total += v;
      if (!(total > 0 && total < 1e300))
        raise<value_error>("limbeck: row " + std::to_string(r) + " of the scores leaves nothing that can be drawn");
      double wanted = detail::jump_stream(how.seed, step, how.first + i, r - s.begin(i)).uniform() * total;
      for (std::size_t y = 0; y < classes; ++y) {
        if (!(p[y] > 0)) continue;
        drawn[r] = static_cast<token_id>(y);
        if ((wanted -= p[y]) < 0) break;
      }
    }
  }
  std::copy(drawn.begin(), drawn.end(), x.begin());
}

LIMBECK_END_NAMESPACE

#endif
