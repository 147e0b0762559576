#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_WINDOWS_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_WINDOWS_HPP

// Pieces of a text as data for Limbeck's trainer, and models that read a whole text.

#include "gru.hpp"
#include "ngram.hpp"
#include "text.hpp"

#include <limbeck/decoding/rollouts.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace character_models {

/// The pieces of a text that are `prompt` + `answer` characters long and begin at its characters 0, `stride`, 2 `stride`, ...: prompts
/// with answers, in the place of which others may be written.
class windows {
 public:
  windows(std::span<const token> text, std::size_t answer, std::size_t prompt = 1, std::size_t stride = 1);

  struct batch_type {
    lk::rollouts inputs;
    tokens labels;                     // one a row of logits
    std::vector<std::size_t> pieces;  // their numbers
  };
  std::size_t size() const { return (text_.size() - prompt_ - answer_) / stride_ + 1; }
  std::size_t answer() const { return answer_; }
  lk::rollouts own(std::span<const std::size_t> pieces) const;
  batch_type batch(std::span<const std::size_t> pieces) const { return batch(pieces, own(pieces)); }
  batch_type batch(std::span<const std::size_t> pieces, const lk::rollouts& written) const;

  /// Rows of the answers of a batch, of logits that stand behind each character of the text.
  void gather(const matrix& logits, const batch_type& b, matrix& to) const;

 private:
  std::span<const token> text_;
  std::size_t answer_, prompt_, stride_;
};

/// A model's logits behind each character of a text.
matrix read_all(gru& model, std::span<const token> text);
matrix read_all(const ngram& model, std::span<const token> text);
/// Bits a character: the mean of -log2 p(next character). `logits` stands behind each character.
double bits(const matrix& logits, std::span<const token> text);

}  // namespace character_models

#endif
