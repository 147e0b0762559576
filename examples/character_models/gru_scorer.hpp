#ifndef LIMBECK_EXAMPLES_CHARACTER_MODELS_GRU_SCORER_HPP
#define LIMBECK_EXAMPLES_CHARACTER_MODELS_GRU_SCORER_HPP

// A recurrent model as Limbeck's decoding asks for it: it remembers its state behind each character of each sequence, so that
// nothing is read twice, also where a draft was dropped.

#include "gru.hpp"

#include <limbeck/decoding/scorer.hpp>

#include <cstddef>
#include <span>
#include <unordered_map>

namespace character_models {

class gru_scorer {
 public:
  explicit gru_scorer(gru& model) : model_(model) {}

  const matrix& operator()(std::span<const lk::prefix> requests) {
    const auto at = [](std::size_t n) { return static_cast<Eigen::Index>(n); };
    passages fresh;
    std::vector<std::size_t> lengths;
    matrix states = matrix::Zero(std::ssize(requests), at(model_.width()));
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const lk::prefix& r = requests[i];
      if (r.known > 0) states.row(at(i)) = remembered_[r.sequence].row(at(r.known - 1));
      fresh.characters.insert(fresh.characters.end(), r.tokens.begin() + at(r.known), r.tokens.end());
      lengths.push_back(r.tokens.size() - r.known);
      fresh.silent.push_back(lengths.back() - r.wanted);
    }
    fresh.where = lk::segments::of_lengths(lengths);
    model_.eval();
    const matrix& logits = model_.forward(fresh, states);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const lk::prefix& r = requests[i];
      matrix& seen = remembered_[r.sequence];
      if (seen.rows() < std::ssize(r.tokens)) seen.conservativeResize(2 * std::ssize(r.tokens), at(model_.width()));
      for (std::size_t c = 0; c < lengths[i]; ++c) seen.row(at(r.known + c)) = model_.state(fresh.where.begin(i) + c);
    }
    return logits;
  }

 private:
  gru& model_;
  std::unordered_map<std::size_t, matrix> remembered_;  // of each sequence, a row a character
};

}  // namespace character_models

#endif
