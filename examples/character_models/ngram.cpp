#include "ngram.hpp"

#include <algorithm>

namespace character_models {

ngram::ngram(std::span<const token> text, int order, std::size_t alphabet)
    : longest_(static_cast<std::size_t>(order) - 1), alphabet_(alphabet) {
  std::vector<float> below(alphabet, 1.0F / static_cast<float>(alphabet));
  for (std::size_t length = 0; length <= longest_; ++length) {  // the shorter contexts first
    const std::size_t first = probabilities_.size() / alphabet;
    std::vector<std::size_t> examples;  // where each context stands in the text
    for (std::size_t i = length; i < text.size(); ++i) {
      const auto [at, fresh] = rows_.try_emplace(key(text.subspan(i - length, length)), first + examples.size());
      if (fresh) {
        examples.push_back(i);
        probabilities_.resize(probabilities_.size() + alphabet);
      }
      ++probabilities_[at->second * alphabet + static_cast<std::size_t>(text[i])];  // counts, for now
    }
    for (std::size_t e = 0; e < examples.size(); ++e) {
      float* const row = &probabilities_[(first + e) * alphabet];
      if (length > 0) {
        const auto shorter = rows_.at(key(text.subspan(examples[e] - length + 1, length - 1)));
        std::copy_n(&probabilities_[shorter * alphabet], alphabet, below.begin());
      }
      float seen = 0, kinds = 0;
      for (std::size_t x = 0; x < alphabet; ++x) seen += row[x], kinds += row[x] > 0 ? 1.0F : 0.0F;
      for (std::size_t x = 0; x < alphabet; ++x) row[x] = (row[x] + kinds * below[x]) / (seen + kinds);
    }
  }
}

std::span<const float> ngram::behind(std::span<const token> context) const {
  for (std::size_t length = std::min(longest_, context.size());; --length)
    if (const auto at = rows_.find(key(context.last(length))); at != rows_.end())
      return std::span(probabilities_).subspan(at->second * alphabet_, alphabet_);
}

/// The context as a number in base alphabet + 1, whose digits are not 0.
std::uint64_t ngram::key(std::span<const token> context) const {
  std::uint64_t k = 0;
  for (const token t : context) k = k * (alphabet_ + 1) + static_cast<std::uint64_t>(t) + 1;
  return k;
}

}  // namespace character_models
