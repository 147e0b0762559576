#ifndef LIMBECK_DECODING_IN_CONTEXT_HPP
#define LIMBECK_DECODING_IN_CONTEXT_HPP

/// @file
/// A model that reads other prompts than those behind which is written.

#include <limbeck/decoding/sample.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// See in_context().
template <class Model, class Prompts>
class scorer_in_context {
 public:
  /// See in_context().
  scorer_in_context(Model model, Prompts prompts, std::size_t number)
      : model_(std::forward<Model>(model)), prompts_(std::forward<Prompts>(prompts)), number_(number) {}

  /// The model's logits behind the same answers.
  decltype(auto) operator()(std::span<const prefix> requests) {
    texts_.resize((std::max)(texts_.size(), requests.size()));
    requests_.assign(requests.begin(), requests.end());
    const auto n = static_cast<std::size_t>(prompts_.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      prefix& p = requests_[i];
      if (p.sequence >= n)
        raise<shape_error>("limbeck: in_context has " + std::to_string(n) + " prompts, and sequence " + std::to_string(p.sequence) +
                           " is asked for");
      auto&& of_prompt = std::as_const(prompts_)[p.sequence];  // a temporary, where prompts are made as they are asked for
      const std::span<const token_id> prompt = of_prompt, answer = p.tokens.subspan(p.prompt);
      if (p.wanted > answer.size() + prompt.size())
        raise<shape_error>("limbeck: prompt " + std::to_string(p.sequence) + " of in_context is empty, expected a token at least");
      texts_[i].assign(prompt.begin(), prompt.end());
      texts_[i].insert(texts_[i].end(), answer.begin(), answer.end());
      p.known = p.known < p.prompt ? 0 : prompt.size() + p.known - p.prompt;
      p.tokens = texts_[i];
      p.prompt = prompt.size();
      p.sequence += number_;
    }
    return model_(std::span<const prefix>(requests_));
  }

 private:
  Model model_;
  Prompts prompts_;
  std::size_t number_;
  std::vector<std::vector<token_id>> texts_{};
  std::vector<prefix> requests_{};
};

/// @p model as a scorer that reads @p prompts[s] in the place of the prompt of sequence s, and the same answer: a context with a
/// solution in it, say (`either`; OPSD's teacher). s is the number of the sequence in what is sampled or scored, `sampling::first` with
/// it: for some rows of a data set, give the prompts of these rows. Both are held by reference, temporaries by value. Copies each
/// text that is asked for.
///
/// The model keeps its state by numbers of its own: it is shown sequence s as s + @p number, behind those of the prompts themselves
/// unless said otherwise. Further contexts of one model have further numbers: in_context(m, other, 2 * other.size()).
/// @throws shape_error, in a call, for a sequence without a prompt, or an empty one.
template <class Model, token_sequences Prompts>
scorer_in_context<Model, std::conditional_t<std::is_lvalue_reference_v<Prompts>, const std::remove_reference_t<Prompts>&, Prompts>>
in_context(Model&& model, Prompts&& prompts, std::size_t number) {
  detail::require_scorers<Model>();
  return {std::forward<Model>(model), std::forward<Prompts>(prompts), number};
}
/// The same with the numbers from prompts.size().
template <class Model, token_sequences Prompts>
auto in_context(Model&& model, Prompts&& prompts) {
  const auto number = static_cast<std::size_t>(prompts.size());
  return in_context(std::forward<Model>(model), std::forward<Prompts>(prompts), number);
}
/// @cond
template <class Model, class Prompts>
  requires(!token_sequences<Prompts>)
Model&& in_context(Model&& model, const Prompts&, std::size_t = 0) {
  detail::require_sequences<Prompts>();
  return std::forward<Model>(model);
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
