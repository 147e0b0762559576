#ifndef LIMBECK_DIFFUSION_UNMASKING_POLICY_HPP
#define LIMBECK_DIFFUSION_UNMASKING_POLICY_HPP

/// @file
/// A few-step generator of masked texts as a policy that a critic rewards (DiDi-Instruct).

#include <limbeck/diffusion/unmask.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Two steps from masks alone to texts.
struct two_step_texts {
  std::vector<token_id> between{};  ///< x_tau, with masks
  std::vector<token_id> texts{};    ///< x_0, without
};

/// Texts in two steps: from masks alone at t = 1 to x_tau, and from it to t = 0.
///
/// @param path of the times
/// @param s the sequences that the rows are of
/// @param how as of `unmask`
/// @param model an `unmasking_model`; @param tau one a sequence of @p s, in (0, 1)
/// What a student gets to learn from them is the product of the probabilities of the tokens drawn, `unmasked_labels`.
/// These are the softmax of the logits, as a cross-entropy reads them, only at temperature 1, without top_k and top_p, and where the logits have -inf
/// at the mask's class or no such class.
/// @throws as unmask().
///
/// Zheng et al., Ultra-Fast Language Generation via Discrete Diffusion Divergence Instruct (DiDi-Instruct), 2025, arXiv:2509.25035.
template <class Model, masking_path Path, detail::sized_memory Tau>
two_step_texts unmask_in_two(Model&& model, const Path& path, const segments& s, const Tau& tau, const unmasking& how) {
  detail::require_unmasking_model<Model>();
  two_step_texts out;
  if constexpr (unmasking_model<Model>) {
    out.between.assign(s.rows(), how.mask);
    const std::vector<double> begin(s.size(), 1), end(s.size(), 0);
    const any_vector between = detail::masking_times("tau", detail::view_vector(tau), s);
    std::vector<double> middle(s.size());
    for (std::size_t i = 0; i < s.size(); ++i) middle[i] = between.number(i);
    {
      const auto& logits = model(std::span<const token_id>(out.between), std::span<const double>(begin));
      unmask(path, logits, std::span<token_id>(out.between), s, begin, middle, how, 0);
    }
    out.texts = out.between;
    const auto& logits = model(std::span<const token_id>(out.between), std::span<const double>(middle));
    unmask(path, logits, std::span<token_id>(out.texts), s, middle, end, how, 1);
  }
  return out;
}

/// What a step has drawn, as labels and weights of rows: where a mask became a token, the token and the number of its sequence; elsewhere -100,
/// the label that is ignored, and 0.
///
/// With numbers omega A, `given(w) * cross_entropy{}` by `sum` is -sum_sequences omega A log p(step), log p the sum over the tokens drawn; divide by the
/// number of sequences where their mean is wanted. It is the log-probability of what was drawn only at temperature 1, without cuts, with -inf at the mask's
/// class. Numbers are held fixed, and may be negative.
/// @param s the sequences that the rows are of
/// @param mask the class of the mask
/// @param before,after one token a row of @p s; @param numbers one a sequence, any vector of numbers
/// @param labels a vector of integers, @param weights one of numbers, one a row
/// @throws shape_error where a length does not fit. O(tokens), and allocates nothing.
template <detail::sized_memory Numbers, class Labels, class Weights>
void unmasked_labels(std::span<const token_id> before, std::span<const token_id> after, const segments& s, token_id mask, const Numbers& numbers,
                     Labels&& labels, Weights&& weights) {
  detail::check_tokens("before", before.size(), s), detail::check_tokens("after", after.size(), s);
  const any_vector n = detail::view_vector(numbers);
  if (n.size() != s.size()) detail::throw_length("numbers", n.size(), s.size(), "one a sequence");
  const auto y = detail::output_vector("labels", labels, s.rows());
  const auto w = detail::output_vector("weights", weights, s.rows());
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t r = s.begin(i); r < s.end(i); ++r) {
      const bool drawn = before[r] == mask && after[r] != mask;
      detail::put(y, r, drawn ? after[r] : token_id(-100));
      detail::put(w, r, drawn ? n.number(i) : 0.0);
    }
}

/// What `group_advantages` takes.
struct group_advantage_options {
  double clip = 3;        ///< the furthest from 0, positive
  double epsilon = 1e-8;  ///< added to a deviation, positive
};

/// A = clamp((r - mean)/(deviation + epsilon), -clip, clip) of each reward in its group of neighbours, with the unbiased deviation: 0 where all are equal.
///
/// Deviations are from a group's first reward, and scaled by the largest: no reward is too large or too close to others.
/// @param options as above
/// @param rewards any vector of numbers; @param group how many make one, at least 2, a divisor of their number
/// @param out as many numbers; it may be @p rewards
/// @throws shape_error where @p out has another length; value_error where group does not divide, an option is not positive, or naming a reward
///   that is not finite. O(rewards), and allocates nothing.
///
/// Shao et al., DeepSeekMath (GRPO), 2024, arXiv:2402.03300; the clip as in DiDi-Instruct.
template <detail::sized_memory Rewards, class Out>
void group_advantages(const Rewards& rewards, std::size_t group, Out&& out, const group_advantage_options& options = {}) {
  const any_vector r = detail::view_vector(rewards);
  if (group < 2 || r.size() % group != 0)
    raise<value_error>("limbeck: group is " + std::to_string(group) + ", expected a divisor of the " + std::to_string(r.size()) +
                       " rewards that is at least 2");
  if (!(options.clip > 0)) raise<value_error>("limbeck: clip of group_advantages is " + detail::show(options.clip) + ", expected a positive number");
  if (!(options.epsilon > 0)) raise<value_error>("limbeck: epsilon of group_advantages is " + detail::show(options.epsilon) + ", expected a positive number");
  const auto to = detail::output_vector("out", out, r.size());
  for (std::size_t i = 0; i < r.size(); ++i)
    if (const double v = r.number(i); v - v != 0)
      raise<value_error>("limbeck: reward " + std::to_string(i) + " is " + detail::show(v) + ", expected a finite number");
  for (std::size_t begin = 0; begin < r.size(); begin += group) {
    const double first = r.number(begin) / 2;
    const auto from_first = [&](std::size_t i) { return r.number(i) / 2 - first; };  // halved: no difference overflows
    double middle = 0, largest = 0, squares = 0;
    for (std::size_t i = begin; i < begin + group; ++i) middle += from_first(i) / static_cast<double>(group);
    for (std::size_t i = begin; i < begin + group; ++i) {
      const double d = std::fabs(from_first(i) - middle);
      largest = d > largest ? d : largest;
    }
    for (std::size_t i = begin; largest > 0 && i < begin + group; ++i) {
      const double d = (from_first(i) - middle) / largest;
      squares += d * d;
    }
    const double deviation = std::sqrt(squares / static_cast<double>(group - 1)) + options.epsilon / 2 / largest;
    for (std::size_t i = begin; i < begin + group; ++i) {
      const double a = largest > 0 ? (from_first(i) - middle) / largest / deviation : 0;
      detail::put(to, i, a > options.clip ? options.clip : a < -options.clip ? -options.clip : a);
    }
  }
}

LIMBECK_END_NAMESPACE

#endif
