#ifndef LIMBECK_DECODING_PREFIXES_HPP
#define LIMBECK_DECODING_PREFIXES_HPP

/// @file
/// Every beginning of given answers, as prompts.

#include <limbeck/decoding/rollouts.hpp>

#include <cstddef>
#include <span>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What stands before each token of each answer, prompt and answer, in order: a view of `answers`, which stays where it is.
///
/// `sample(student, prefixes_of(answers), {.length = 1})` draws an alternative to each token of the answers behind the right ones
/// before it, another with another seed. Distributions behind such alternatives, row for row, are what Align-TI's transition
/// probabilities compare (2026, arXiv:2602.09483, read from reviews only).
class prefixes_of {
 public:
  /// Of the answers of @p text.
  explicit prefixes_of(const rollouts& text) : text_(&text) {
    for (std::size_t s = 0; s < text.size(); ++s)
      for (std::size_t place = text.prompts[s]; place < text.sequences.length(s); ++place) at_.push_back({s, place});
  }
  prefixes_of(rollouts&&) = delete;
  /// How many: the tokens of all answers.
  std::size_t size() const { return at_.size(); }
  /// The one before token @p i.
  std::span<const token_id> operator[](std::size_t i) const { return (*text_)[at_[i].sequence].first(at_[i].place); }

 private:
  struct position {
    std::size_t sequence, place;
  };
  const rollouts* text_;
  std::vector<position> at_{};
};

LIMBECK_END_NAMESPACE

#endif
