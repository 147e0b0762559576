#ifndef LIMBECK_DECODING_ROLLOUTS_HPP
#define LIMBECK_DECODING_ROLLOUTS_HPP

/// @file
/// Sequences that a model has written behind prompts.

#include <limbeck/core/errors.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cstddef>
#include <cstdint>
#include <concepts>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Sequences of tokens: `x.size()` of them, and `x[s]` is one, as a `std::vector<std::vector<token_id>>` gives it.
template <class X>
concept token_sequences = requires(const X& x, std::size_t s) {
  { x.size() } -> std::convertible_to<std::size_t>;
  { x[s] } -> std::convertible_to<std::span<const token_id>>;
};

/// @cond
namespace detail {
template <class... X>
constexpr void require_sequences() {
  static_assert((token_sequences<X> && ...),
                "limbeck: decoding asks for sequences of tokens, as a std::vector<std::vector<lk::token_id>>: x.size() of them, and x[s] converts "
                "to a std::span<const lk::token_id>. One sequence is a vector of one");
}
}  // namespace detail
/// @endcond

/// Prompts and the answers behind them, one sequence behind another: sequence s is the tokens `sequences.begin(s)` to before
/// `sequences.end(s)`, of which the first `prompts[s]` are the prompt. Vectors of tokens have one number a token, 0 at a prompt's.
struct rollouts {
  std::vector<token_id> tokens{};           ///< of all sequences
  segments sequences{};                     ///< where each begins and ends
  std::vector<std::size_t> prompts{};       ///< tokens of each prompt
  std::vector<double> log_probabilities{};  ///< of each token, under the distribution from which it was drawn
  std::vector<std::uint8_t> writers{};      ///< of each token: which model wrote it, 0 the first

  /// How many sequences.
  std::size_t size() const { return sequences.size(); }
  /// One of them: prompt and answer.
  std::span<const token_id> operator[](std::size_t s) const {
    return std::span(tokens).subspan(sequences.begin(s), sequences.length(s));
  }
  /// Its answer.
  std::span<const token_id> answer(std::size_t s) const { return (*this)[s].subspan(prompts[s]); }
  /// Whether they are the same to the last bit.
  friend bool operator==(const rollouts&, const rollouts&) = default;
  /// @throws shape_error where its vectors do not fit each other. Log-probabilities and writers may be left out.
  void require_whole() const {
    const std::size_t n = sequences.rows();
    if (tokens.size() != n) detail::throw_length("tokens of rollouts", tokens.size(), n, "one a row of its sequences");
    if (prompts.size() != size())
      raise<shape_error>("limbeck: rollouts have " + std::to_string(prompts.size()) + " prompts and " + std::to_string(size()) +
                         " sequences");
    for (std::size_t s = 0; s < size(); ++s)
      if (prompts[s] > sequences.length(s))
        raise<shape_error>("limbeck: the prompt of sequence " + std::to_string(s) + " of rollouts is of " +
                           std::to_string(prompts[s]) + " tokens, the sequence of " + std::to_string(sequences.length(s)));
    if (!log_probabilities.empty() && log_probabilities.size() != n)
      detail::throw_length("log_probabilities of rollouts", log_probabilities.size(), n, "one a token");
    if (!writers.empty() && writers.size() != n) detail::throw_length("writers of rollouts", writers.size(), n, "one a token");
  }
  /// Saves or restores it. @throws shape_error or value_error where what is restored does not fit; it stays as it was.
  template <class Archive>
  void serialize(Archive& archive) {
    rollouts x = *this;
    std::vector<std::size_t> offsets(sequences.offsets().begin(), sequences.offsets().end());
    archive("tokens", x.tokens);
    archive("offsets", offsets);
    archive("prompts", x.prompts);
    archive("log_probabilities", x.log_probabilities);
    archive("writers", x.writers);
    x.sequences = segments(std::move(offsets));
    x.require_whole();
    *this = std::move(x);
  }
};

/// Answers that are there already, a data set's, behind their prompts: log-probabilities and writers are 0.
/// @throws shape_error where there is not one answer a prompt.
template <token_sequences Prompts, token_sequences Answers>
rollouts given_answers(const Prompts& prompts, const Answers& answers) {
  const auto n = static_cast<std::size_t>(prompts.size());
  if (static_cast<std::size_t>(answers.size()) != n)
    detail::throw_length("answers", static_cast<std::size_t>(answers.size()), n, "one a prompt");
  rollouts out;
  std::vector<std::size_t> lengths;
  for (std::size_t s = 0; s < n; ++s) {
    auto&& of_prompt = prompts[s];  // a temporary, where sequences are made as they are asked for
    auto&& of_answer = answers[s];
    const std::span<const token_id> prompt = of_prompt, answer = of_answer;
    out.tokens.insert(out.tokens.end(), prompt.begin(), prompt.end());
    out.tokens.insert(out.tokens.end(), answer.begin(), answer.end());
    out.prompts.push_back(prompt.size());
    lengths.push_back(prompt.size() + answer.size());
  }
  out.sequences = segments::of_lengths(lengths);
  out.log_probabilities.resize(out.tokens.size());
  out.writers.resize(out.tokens.size());
  return out;
}
/// @cond
template <class Prompts, class Answers>
  requires(!(token_sequences<Prompts> && token_sequences<Answers>))
rollouts given_answers(const Prompts&, const Answers&) {
  detail::require_sequences<Prompts, Answers>();
  return {};
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
