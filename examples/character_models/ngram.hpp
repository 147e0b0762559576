#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_NGRAM_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_NGRAM_HPP

// n-grams, interpolated after Witten and Bell (1991; as in Chen and Goodman, 1998): in a context h seen c(h) times, before
// k(h) different characters,
//
//     p(x | h) = (c(h x) + k(h) p(x | h without its first character)) / (c(h) + k(h)),
//
// and below the empty context every character is as likely. An unseen context is its longest seen end.

#include "text.hpp"
#include "../common/mlp.hpp"

#include <limbeck/decoding/scorer.hpp>
#include <limbeck/eigen.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace character_models {

namespace lk = limbeck;

using examples::matrix;

class ngram {
 public:
  /// Contexts of up to order - 1 characters of `text`.
  ngram(std::span<const token> text, int order, std::size_t alphabet);

  std::size_t size() const { return alphabet_; }
  /// The probabilities of what comes behind `context`, of which the last order - 1 count.
  std::span<const float> behind(std::span<const token> context) const;

  /// Their logarithms.
  void log_behind(std::span<const token> context, float* to) const {
    for (const float p : behind(context)) *to++ = std::log(p);
  }

  /// As Limbeck's decoding asks a model: logits of next characters.
  const matrix& operator()(std::span<const lk::prefix> requests) {
    Eigen::Index row = 0;
    for (const lk::prefix& r : requests) row += static_cast<Eigen::Index>(r.wanted);
    asked_.resize(row, static_cast<Eigen::Index>(alphabet_));
    row = 0;
    for (const lk::prefix& r : requests)
      for (std::size_t left = r.wanted; left-- > 0;) log_behind(r.tokens.first(r.tokens.size() - left), &asked_(row++, 0));
    return asked_;
  }

 private:
  std::uint64_t key(std::span<const token> context) const;

  std::size_t longest_, alphabet_;
  std::unordered_map<std::uint64_t, std::size_t> rows_;  // of contexts
  std::vector<float> probabilities_;
  matrix asked_;
};

}  // namespace character_models

#endif
