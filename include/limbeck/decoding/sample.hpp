#ifndef LIMBECK_DECODING_SAMPLE_HPP
#define LIMBECK_DECODING_SAMPLE_HPP

/// @file
/// Sampling from a model, and what all decodings share.

#include <limbeck/core/random.hpp>
#include <limbeck/decoding/rollouts.hpp>
#include <limbeck/decoding/scorer.hpp>
#include <limbeck/decoding/token_law.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Sequences while they are written: what a decoding sees, in rounds, until none is left.
///
/// A decoding of your own is a class with `round(writing&)`, which writes a token at least behind each of `open()`: it asks its
/// models for rows by `ask`, makes a `law` of a row, draws from it by `dice`, and says `write`. `sample` runs it.
class writing {
 public:
  /// Begins behind @p prompts, a token each at least.
  /// @throws value_error where a prompt is empty, or a setting out of its range.
  template <token_sequences Prompts>
  writing(const Prompts& prompts, const sampling& how) : writing(how) {
    for (std::size_t s = 0; s < static_cast<std::size_t>(prompts.size()); ++s) begin(prompts[s], {});
    close();
  }
  /// Goes on where @p written ends, behind its prompts and answers.
  /// @throws shape_error where it lacks a log-probability or a writer a token.
  static writing behind(const rollouts& written, const sampling& how) {
    const std::size_t n = written.tokens.size();
    if (written.log_probabilities.size() != n) detail::throw_length("log_probabilities", written.log_probabilities.size(), n, "one a token");
    if (written.writers.size() != n) detail::throw_length("writers", written.writers.size(), n, "one a token");
    written.require_whole();
    writing w(how);
    for (std::size_t s = 0; s < written.size(); ++s) {
      w.begin(written[s].first(written.prompts[s]), written.answer(s));
      for (std::size_t i = 0; i < written[s].size(); ++i) {
        w.texts_[s].log_probabilities[i] = written.log_probabilities[written.sequences.begin(s) + i];
        w.texts_[s].writers[i] = written.writers[written.sequences.begin(s) + i];
      }
    }
    w.close();
    return w;
  }

  /// How tokens are drawn.
  const sampling& how() const { return how_; }
  /// The sequences that have not ended, in order.
  std::span<const std::size_t> open() const { return open_; }
  /// Whether sequence @p s has its last token.
  bool ended(std::size_t s) const {
    const text& t = texts_[s];
    const std::size_t written = t.tokens.size() - t.prompt;
    return written >= how_.length || (written > 0 && how_.end >= 0 && t.tokens.back() == how_.end);
  }
  /// How many tokens sequence @p s has, its prompt with them.
  std::size_t size(std::size_t s) const { return texts_[s].tokens.size(); }
  /// The random numbers of the token at @p place of sequence @p s, and of nothing else: they depend on the seed, the sequence
  /// and how far behind the prompt the token stands.
  random_stream dice(std::size_t s, std::size_t place) const { return random_.split(how_.first + s).split(place - texts_[s].prompt); }
  /// Those of its next token.
  random_stream dice(std::size_t s) const { return dice(s, size(s)); }

  /// What @p model says of the next token of each of the sequences @p who, a row each. Read it before the model is asked again, or
  /// copy it by `kept(memory)`. By its @p name, which stands in errors, it is known what the model has seen.
  /// @throws shape_error where it gives other rows than these, or another vocabulary than those before.
  template <scorer M>
  auto ask(M& model, std::string_view name, std::span<const std::size_t> who) {
    return ask(model, name, who, [](std::size_t, std::size_t size) { return window{size, 1}; });
  }
  /// What it says of tokens that stand there already: those of @p who from place `from(s)` on, one behind another. It sees them all
  /// but the last.
  template <scorer M, class From>
  auto ask_from(M& model, std::string_view name, std::span<const std::size_t> who, From&& from) {
    return ask(model, name, who, [&](std::size_t s, std::size_t size) { return window{size - 1, size - from(s)}; });
  }
  /// The distribution of the token at @p place of sequence @p s, by row @p r of an answer.
  /// @throws value_error where a logit is none.
  template <class Scored>
  void law(const Scored& answer, std::size_t r, std::size_t s, std::size_t place, const sampling& how, token_law& out) {
    row_.resize(vocabulary_);
    answer.read(r, row_);
    out.set(row_, how, [&] {
      return "sequence " + std::to_string(how_.first + s) + " at position " + std::to_string(place);
    });
  }

  /// The token at a place.
  token_id token(std::size_t s, std::size_t place) const { return texts_[s].tokens[place]; }
  /// Puts a token behind sequence @p s that was drawn from @p law by a model, 0 the first.
  void write(std::size_t s, const token_law& law, token_id token, std::uint8_t writer) {
    text& t = texts_[s];
    t.tokens.push_back(token);
    t.log_probabilities.push_back(std::log(law[token]));
    t.writers.push_back(writer);
  }
  /// Drops all but the first @p size tokens of sequence @p s: models are shown what comes in their place.
  void take_back(std::size_t s, std::size_t size) {
    text& t = texts_[s];
    t.tokens.resize(size);
    t.log_probabilities.resize(size);
    t.writers.resize(size);
    for (audience& a : audiences_) a.known[s] = (std::min)(a.known[s], size);
  }
  /// Sequences that have ended leave.
  void close() {
    open_.clear();
    for (std::size_t s = 0; s < texts_.size(); ++s)
      if (!ended(s)) open_.push_back(s);
  }
  /// All that was written.
  rollouts result() const {
    rollouts out;
    std::vector<std::size_t> lengths;
    for (const text& t : texts_) {
      out.tokens.insert(out.tokens.end(), t.tokens.begin(), t.tokens.end());
      out.log_probabilities.insert(out.log_probabilities.end(), t.log_probabilities.begin(), t.log_probabilities.end());
      out.writers.insert(out.writers.end(), t.writers.begin(), t.writers.end());
      out.prompts.push_back(t.prompt);
      lengths.push_back(t.tokens.size());
    }
    out.sequences = segments::of_lengths(lengths);
    return out;
  }

 private:
  struct text {
    std::vector<token_id> tokens{};
    std::vector<double> log_probabilities{};
    std::vector<std::uint8_t> writers{};
    std::size_t prompt = 0;
  };
  struct window {
    std::size_t size, wanted;  // tokens that are shown, rows behind the last of them
  };
  template <class M, class Window>
  auto ask(M& model, std::string_view name, std::span<const std::size_t> who, Window&& window_of) {
    std::vector<std::size_t>& known = known_by(name);
    requests_.clear();
    std::size_t rows = 0;
    for (const std::size_t s : who) {
      const std::span<const token_id> tokens = texts_[s].tokens;
      const auto [size, wanted] = window_of(s, tokens.size());
      requests_.push_back({how_.first + s, tokens.first(size), (std::min)(known[s], size - wanted), wanted, texts_[s].prompt});
      known[s] = size;
      rows += wanted;
    }
    return detail::score(model, name, requests_, rows, vocabulary_);
  }
  struct audience {  // a model that reads what is written
    std::string name;
    std::vector<std::size_t> known;  // of each sequence, tokens
  };
  std::vector<std::size_t>& known_by(std::string_view name) {
    for (audience& a : audiences_)
      if (a.name == name) return a.known;
    audiences_.push_back({std::string(name), std::vector<std::size_t>(texts_.size())});
    return audiences_.back().known;
  }
  explicit writing(const sampling& how) : how_(how), random_(how.seed) {
    require(how.temperature >= 0 && std::isfinite(how.temperature), "temperature", how.temperature, "a number >= 0");
    require(how.top_p > 0 && how.top_p <= 1, "top_p", how.top_p, "a number in (0, 1]");
    require(how.min_p >= 0 && how.min_p <= 1, "min_p", how.min_p, "a number in [0, 1]");
  }
  void begin(std::span<const token_id> prompt, std::span<const token_id> answer) {
    if (prompt.empty())
      raise<value_error>("limbeck: prompt " + std::to_string(texts_.size()) + " is empty, expected a token at least, that of a beginning");
    text& t = texts_.emplace_back();
    t.prompt = prompt.size();
    t.tokens.assign(prompt.begin(), prompt.end());
    t.tokens.insert(t.tokens.end(), answer.begin(), answer.end());
    t.log_probabilities.resize(t.tokens.size());
    t.writers.resize(t.tokens.size());
  }
  static void require(bool right, const char* name, double x, const char* expected) {
    if (!right) raise<value_error>("limbeck: sampling::" + std::string(name) + " is " + detail::show(x) + ", expected " + expected);
  }

  sampling how_;
  random_stream random_;
  std::vector<text> texts_{};
  std::vector<audience> audiences_{};
  std::vector<std::size_t> open_{};
  std::vector<prefix> requests_{};
  std::vector<double> row_{};
  std::size_t vocabulary_ = 0;
};

namespace detail {

inline void require_share(const char* of, double share) {
  if (!(share >= 0 && share <= 1))
    raise<value_error>("limbeck: the share of " + std::string(of) + " is " + show(share) + ", expected a number in [0, 1]");
}

/// The next token of each of the sequences @p who, by one model and the @p number-th of its random numbers.
template <class Model>
void write_by(writing& w, Model& model, std::string_view name, std::span<const std::size_t> who, std::uint8_t writer, token_law& law,
              std::uint64_t number = 0) {
  if (who.empty()) return;
  const auto rows = w.ask(model, name, who);
  for (std::size_t i = 0; i < who.size(); ++i) {
    w.law(rows, i, who[i], w.size(who[i]), w.how(), law);
    auto dice = w.dice(who[i]);
    dice.skip(number);
    w.write(who[i], law, law.draw(dice), writer);
  }
}

}  // namespace detail

/// What can be sampled from: a scorer, or a decoding of several, as `interleaved(student, teacher)`.
template <class W>
concept decoder = scorer<W> || requires(std::remove_reference_t<W>& w, writing& text) { w.round(text); };

/// What @p model writes behind @p prompts: each next token drawn from its distribution, until each sequence has
/// `length` tokens or its `end`.
///
/// A token depends on the seed, on the number of its sequence and on what stands before it: not on the sequences beside it, which
/// may be given to several calls in parts (`first`). All open sequences are scored at once; those that have ended leave the
/// requests. @p prompts are sequences of a token at least, of any lengths: a `std::vector<std::vector<token_id>>`, or
/// `rollouts`, each of which is then a prompt as a whole.
/// @throws value_error where a setting is out of its range, a prompt empty, or a logit NaN or +inf; shape_error where a scorer gives
/// other rows than were wanted, or another vocabulary than before.
template <class Model, token_sequences Prompts>
rollouts sample(Model&& model, const Prompts& prompts, const sampling& how = {}) {
  if constexpr (!decoder<Model>) detail::require_scorers<Model>();
  writing text(prompts, how);
  for (token_law law; !text.open().empty(); text.close()) {
    if constexpr (scorer<Model>) {
      detail::write_by(text, model, "model", text.open(), 0, law);
    } else if constexpr (decoder<Model>) {
      model.round(text);
    }
  }
  return text.result();
}
/// @cond
template <class Model, class Prompts>
  requires(!token_sequences<Prompts>)
rollouts sample(Model&&, const Prompts&, const sampling& = {}) {
  detail::require_sequences<Prompts>();
  return {};
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
