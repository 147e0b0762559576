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
  scorer_in_context(Model model, Prompts prompts) : model_(std::forward<Model>(model)), prompts_(std::forward<Prompts>(prompts)) {}

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
      const std::span<const token_id> prompt = prompts_[p.sequence], answer = p.tokens.subspan(p.prompt);
      if (p.wanted > answer.size() + prompt.size())
        raise<shape_error>("limbeck: prompt " + std::to_string(p.sequence) + " of in_context is empty, expected a token at least");
      texts_[i].assign(prompt.begin(), prompt.end());
      texts_[i].insert(texts_[i].end(), answer.begin(), answer.end());
      p.known = p.known < p.prompt ? 0 : prompt.size() + p.known - p.prompt;
      p.tokens = texts_[i];
      p.prompt = prompt.size();
      p.sequence += n;
    }
    return model_(std::span<const prefix>(requests_));
  }

 private:
  Model model_;
  Prompts prompts_;
  std::vector<std::vector<token_id>> texts_{};
  std::vector<prefix> requests_{};
};

/// @p model as a scorer that reads @p prompts[s] in the place of the prompt of sequence s, and the same answer: a context with a
/// solution in it, say (`either`; OPSD's teacher). Its sequences have the numbers s + prompts.size(), so that one model keeps
/// state for both contexts. Both are held by reference, temporaries by value. Copies each text that is asked for.
/// @throws shape_error, in a call, for a sequence without a prompt, or an empty one.
template <class Model, token_sequences Prompts>
scorer_in_context<Model, std::conditional_t<std::is_lvalue_reference_v<Prompts>, const std::remove_reference_t<Prompts>&, Prompts>>
in_context(Model&& model, Prompts&& prompts) {
  detail::require_scorers<Model>();
  return {std::forward<Model>(model), std::forward<Prompts>(prompts)};
}

LIMBECK_END_NAMESPACE

#endif
