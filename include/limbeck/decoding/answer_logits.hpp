#ifndef LIMBECK_DECODING_ANSWER_LOGITS_HPP
#define LIMBECK_DECODING_ANSWER_LOGITS_HPP

/// @file
/// What a scorer says of answers that are there, and how far two scorers are apart on them.

#include <limbeck/decoding/rollouts.hpp>
#include <limbeck/decoding/scorer.hpp>
#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/objective/objective.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The logits behind all tokens of each sequence from the last of its prompt to the last but one, a row for each token of the answers:
/// what a batch of `prompted_data` asks of a student or a teacher. A scorer in the trainer: `[&](const lk::rollouts& x) { return
/// lk::answer_logits(m, x); }`. @p first and @p count: of which sequences. What the model gives is read before it is asked again, in
/// whatever context: it may be a view of its memory.
/// @throws value_error where a prompt or an answer is empty, shape_error where the vectors of @p x do not fit each other.
template <scorer M>
auto answer_logits(M&& m, const rollouts& x, std::size_t first, std::size_t count) -> decltype(m(std::span<const prefix>())) {
  x.require_whole();
  std::vector<prefix> requests;
  for (std::size_t s = first; s < first + count; ++s) {
    const bool nothing_before = x.prompts[s] == 0;
    if (nothing_before || x.answer(s).empty())
      raise<value_error>(std::string("limbeck: the ") + (nothing_before ? "prompt" : "answer") + " of sequence " +
                         std::to_string(s) + " is empty, expected a token at least");
    const auto tokens = x[s];
    requests.push_back({.sequence = s, .tokens = tokens.first(tokens.size() - 1), .wanted = x.answer(s).size(), .prompt = x.prompts[s]});
  }
  return m(std::span<const prefix>(requests));
}
/// The same of all.
template <scorer M>
auto answer_logits(M&& m, const rollouts& x) -> decltype(m(std::span<const prefix>())) {
  return answer_logits(std::forward<M>(m), x, 0, x.size());
}
/// @cond
template <class M, class... Part>
  requires(!scorer<M>)
void answer_logits(M&&, const rollouts&, const Part&...) {
  detail::require_scorers<M>();
}
/// @endcond

/// D(a || b) = E_x E_{y ~ a} sum_n KL(a(. | x, y_<n) || b(. | x, y_<n)), estimated on sequences @p written by a: the mean over them of
/// the sum over the tokens of their answers. That is KL between the distributions of whole answers, by the chain rule, without the variance of
/// log-probabilities of the tokens drawn. With @p loss, another divergence of a token, a as its teacher and b as its student.
/// Both may be one model in two contexts: the logits of a are copied. @p at_once: how many sequences are scored at once, at least 1.
/// @throws value_error where there is no sequence, or none is scored at once; and what the loss throws.
template <scorer A, scorer B, class Loss = forward_kl>
double sequence_divergence(A&& a, B&& b, const rollouts& written, Loss loss = {}, std::size_t at_once = 64) {
  if (written.size() == 0) raise<value_error>("limbeck: sequence_divergence needs a sequence at least");
  if (at_once == 0) raise<value_error>("limbeck: at_once of sequence_divergence is 0, expected 1 at least");
  const objective divergence{std::move(loss)};
  workspace ws;
  std::vector<double> memory;
  double total = 0;
  for (std::size_t s = 0; s < written.size(); s += at_once) {
    const std::size_t n = (std::min)(at_once, written.size() - s);
    using logits_of_a = decltype(answer_logits(a, written, s, n));
    const auto of_a = detail::scored<logits_of_a>{answer_logits(a, written, s, n)}.kept(memory);
    auto&& of_b = answer_logits(b, written, s, n);
    total += divergence.value(of_b, of_a.logits, sum, ws);
  }
  return total / static_cast<double>(written.size());
}
/// @cond
template <class A, class B, class... Settings>
  requires(!(scorer<A> && scorer<B>))
double sequence_divergence(A&&, B&&, const rollouts&, const Settings&...) {
  detail::require_scorers<A, B>();
  return 0;
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
