#include "windows.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace character_models {

windows::windows(std::span<const token> text, std::size_t answer, std::size_t prompt, std::size_t stride)
    : text_(text), answer_(answer), prompt_(prompt), stride_(stride) {}

lk::rollouts windows::own(std::span<const std::size_t> pieces) const {
  std::vector<std::span<const token>> prompts, answers;
  for (const std::size_t p : pieces) {
    prompts.push_back(text_.subspan(p * stride_, prompt_));
    answers.push_back(text_.subspan(p * stride_ + prompt_, answer_));
  }
  return lk::given_answers(prompts, answers);
}

windows::batch_type windows::batch(std::span<const std::size_t> pieces, const lk::rollouts& written) const {
  batch_type b{written, {}, {pieces.begin(), pieces.end()}};
  for (std::size_t s = 0; s < written.size(); ++s) {
    const auto answer = written.answer(s);
    b.labels.insert(b.labels.end(), answer.begin(), answer.end());
  }
  return b;
}

void windows::gather(const matrix& logits, const batch_type& b, matrix& to) const {
  const auto answer = static_cast<Eigen::Index>(answer_);
  to.resize(std::ssize(b.pieces) * answer, logits.cols());
  for (std::size_t i = 0; i < b.pieces.size(); ++i)
    to.middleRows(static_cast<Eigen::Index>(i) * answer, answer) =
        logits.middleRows(static_cast<Eigen::Index>(b.pieces[i] * stride_ + prompt_ - 1), answer);
}

/// The text is read in 64 pieces at once, each after 200 characters of what stands before it, so that no state is cold.
matrix read_all(gru& model, std::span<const token> text) {
  constexpr std::size_t most = 64, chunk = 128, warm = 200;
  const std::size_t pieces = std::min(most, text.size() / warm + 1), piece = (text.size() + pieces - 1) / pieces;
  matrix logits(std::ssize(text), static_cast<Eigen::Index>(model.alphabet()));
  matrix states = matrix::Zero(static_cast<Eigen::Index>(pieces), static_cast<Eigen::Index>(model.width()));
  std::vector<std::size_t> at(pieces), begin(pieces), end(pieces);
  for (std::size_t p = 0; p < pieces; ++p) {
    begin[p] = std::min(text.size(), p * piece), end[p] = std::min(text.size(), begin[p] + piece);
    at[p] = begin[p] - std::min(warm, begin[p]);
  }
  model.eval();
  while (true) {
    passages x;
    std::vector<std::size_t> lengths;
    for (std::size_t p = 0; p < pieces; ++p) {
      lengths.push_back(std::min(chunk, end[p] - at[p]));
      const auto next = text.subspan(at[p], lengths[p]);
      x.characters.insert(x.characters.end(), next.begin(), next.end());
    }
    if (x.characters.empty()) return logits;
    x.where = lk::segments::of_lengths(lengths);
    const matrix& read = model.forward(x, states);
    for (std::size_t p = 0; p < pieces; ++p)
      for (std::size_t i = 0; i < lengths[p]; ++i, ++at[p])
        if (at[p] >= begin[p])
          logits.row(static_cast<Eigen::Index>(at[p])) = read.row(static_cast<Eigen::Index>(x.where.begin(p) + i));
  }
}

matrix read_all(const ngram& model, std::span<const token> text) {
  matrix logits(std::ssize(text), static_cast<Eigen::Index>(model.size()));
  for (std::size_t i = 0; i < text.size(); ++i) model.log_behind(text.first(i + 1), &logits(static_cast<Eigen::Index>(i), 0));
  return logits;
}

double bits(const matrix& logits, std::span<const token> text) {
  double sum = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto row = logits.row(static_cast<Eigen::Index>(i)).array();
    const float top = row.maxCoeff();
    sum += static_cast<double>(std::log((row - top).exp().sum()) + top - row(text[i + 1]));
  }
  return sum / (static_cast<double>(text.size() - 1) * std::numbers::ln2);
}

}  // namespace character_models
