#ifndef LIMBECK_DIFFUSION_UNMASK_HPP
#define LIMBECK_DIFFUSION_UNMASK_HPP

/// @file
/// Steps back from masks to tokens, and a sampler of few of them.

#include <limbeck/decoding/scorer.hpp>
#include <limbeck/decoding/token_law.hpp>
#include <limbeck/diffusion/masking.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// How masks become tokens. What is cut of a distribution is cut as in `sampling`.
struct unmasking {
  token_id mask = 0;         ///< the token that stands for none; where it is a class of the logits, that class is never drawn
  double temperature = 1;    ///< of the softmax, >= 0; 0: the most likely token
  std::size_t top_k = 0;     ///< how many of the likeliest classes stay; 0: all
  double top_p = 1;          ///< in (0, 1]: of the classes in falling order the fewest that have this mass
  std::uint64_t seed = 0;    ///< of all that is random
  std::size_t first = 0;     ///< the number of the first sequence, where a call writes a part of them
};

/// A model of texts with masks: `m(tokens, times)` for a `std::span<const token_id>`, the tokens of all sequences, and a `std::span<const
/// double>`, a time a sequence, gives a tensor on the host with a row of logits a token, read before the next call.
template <class M>
concept unmasking_model = requires(std::remove_reference_t<M>& m, std::span<const token_id> tokens, std::span<const double> times) {
  { m(tokens, times) } -> detail::logits_of_tokens;
};

/// @cond
namespace detail {
template <class M>
constexpr void require_unmasking_model() {
  static_assert(unmasking_model<M>,
                "limbeck: masks are filled by a model of texts: m(tokens, times), for a std::span<const lk::token_id> and a std::span<const double>, gives "
                "a tensor of logits, a row a token");
}
inline sampling sampling_of(const unmasking& how) {
  if (!(how.temperature >= 0 && how.temperature < 1e300))
    raise<value_error>("limbeck: temperature of unmasking is " + show(how.temperature) + ", expected a finite number of at least 0");
  if (!(how.top_p > 0 && how.top_p <= 1)) raise<value_error>("limbeck: top_p of unmasking is " + show(how.top_p) + ", expected a number in (0, 1]");
  return {.temperature = how.temperature, .top_k = how.top_k, .top_p = how.top_p};
}
/// The random numbers of a token in one step.
inline random_stream jump_stream(std::uint64_t seed, std::size_t step_, std::size_t sequence, std::size_t place) {
  return random_stream(seed).split(step_).split(sequence).split(place);
}
/// Checks both times of every sequence.
inline void check_fall(const any_vector& from, const any_vector& to, const segments& s) {
  (void)masking_times("from", from, s), (void)masking_times("to", to, s);
  for (std::size_t i = 0; i < s.size(); ++i)
    if (!(to.number(i) < from.number(i)))
      raise<value_error>("limbeck: sequence " + std::to_string(i) + " goes from time " + show(from.number(i)) + " to " + show(to.number(i)) +
                         ", expected a time before it");
}
}  // namespace detail
/// @endcond

/// One step of the reverse process from time t to u < t: a token stays; a mask becomes a token with the probability
/// (alpha_u - alpha_t)/(1 - alpha_t), drawn from the softmax of its row of logits, and stays a mask otherwise.
///
/// @param s the sequences that the rows are of
/// @param path of masking
/// @param logits of the texts @p x at time t, a row a token, a tensor on the host; rows of tokens that are there are not read
/// @param x tokens, one a row of @p s; written
/// @param from,to t and u, one a sequence
/// @param how mask, cuts and seed; @param step numbers the draws: with the seed, the sequence and the place it says a token's random numbers
/// O(masks x classes).
/// @throws shape_error where a length does not fit; value_error where a time or its alpha is out of [0, 1] or a time does not fall, an option
///   is out of its range, or naming the row whose logits are no distribution; @p x is left as it was.
///
/// Sahoo et al., MDLM, 2024, arXiv:2406.07524, with its codes (SUBS: masks have no probability, tokens are carried over).
template <masking_path Path, detail::logits_of_tokens Logits, detail::sized_memory From, detail::sized_memory To>
void unmask(const Path& path, const Logits& logits, std::span<token_id> x, const segments& s, const From& from, const To& to,
            const unmasking& how, std::size_t step = 0) {
  detail::check_tokens("x", x.size(), s);
  const any_vector t = detail::view_vector(from), u = detail::view_vector(to);
  detail::check_fall(t, u, s);
  const sampling cuts = detail::sampling_of(how);
  const detail::scored<const Logits&> of_tokens{logits};
  if (of_tokens.size() != x.size()) detail::throw_shape("logits", of_tokens.size(), of_tokens.classes(), x.size(), of_tokens.classes());
  std::vector<double> row(of_tokens.classes());
  std::vector<token_id> drawn(x.begin(), x.end());
  token_law law;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const double gone = detail::level_of(path, t, i).gone, chance = (gone - detail::level_of(path, u, i).gone) / gone;
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) {
      if (x[r] != how.mask) continue;
      random_stream dice = detail::jump_stream(how.seed, step, how.first + i, r - s.begin(i));
      if (!(dice.uniform() < chance)) continue;
      of_tokens.read(r, row);
      if (how.mask >= 0 && std::cmp_less(how.mask, row.size())) row[static_cast<std::size_t>(how.mask)] = -std::numeric_limits<double>::infinity();
      law.set(row, cuts, [&] { return "row " + std::to_string(r); });
      drawn[r] = law.draw(dice);
    }
  }
  std::copy(drawn.begin(), drawn.end(), x.begin());
}

/// Fills all masks of texts in as many steps as @p times has intervals: `fill_masks(model, log_linear_masking{}, x, s, uniform_grid(8), how)`.
///
/// @param path of the times
/// @param s the sequences that the rows are of
/// @param how as of `unmask`
/// @param model an `unmasking_model`
/// @param x tokens, one a row of @p s; what is a mask is written, what is none (a prompt, what stands around a gap) stays
/// @param times falling, the last one 0, at which nothing is a mask
/// The law of a text does not depend on what stands beside it, nor on `first`: with the same seed, parts of a batch give what the
/// whole gives. One call of the model a step.
/// @throws as unmask(); value_error where there are fewer than two times or the last is not 0. @p x is left as it was.
template <class Model, masking_path Path>
void fill_masks(Model&& model, const Path& path, std::span<token_id> x, const segments& s, std::span<const double> times, const unmasking& how) {
  detail::require_unmasking_model<Model>();
  if constexpr (unmasking_model<Model>) {
    detail::check_tokens("x", x.size(), s);
    if (times.size() < 2 || times.back() != 0) raise<value_error>("limbeck: the times of fill_masks are two or more that fall, and the last is 0");
    std::vector<token_id> now(x.begin(), x.end());
    std::vector<double> from(s.size()), to(s.size());
    for (std::size_t k = 0; k + 1 < times.size(); ++k) {
      std::fill(from.begin(), from.end(), times[k]), std::fill(to.begin(), to.end(), times[k + 1]);
      const auto& logits = model(std::span<const token_id>(now), std::span<const double>(from));
      unmask(path, logits, std::span<token_id>(now), s, from, to, how, k);
    }
    std::copy(now.begin(), now.end(), x.begin());
  }
}

LIMBECK_END_NAMESPACE

#endif
