#ifndef LIMBECK_TESTS_UNIT_TRAINER_WRITERS_HPP
#define LIMBECK_TESTS_UNIT_TRAINER_WRITERS_HPP

// A language of six letters, a recurrent student with a backward pass by hand, a teacher that is a table.

#include "toy.hpp"

#include <limbeck/decoding/answer_logits.hpp>
#include <limbeck/decoding/sample.hpp>

#include <algorithm>

namespace toy {

constexpr std::size_t letters = 6, cells = 5;

/// h_t = h_{t-1} / 2 + E(token), logits = h U: every token remembers all before it. It is a scorer too.
class recurrent {
 public:
  explicit recurrent(std::uint64_t seed, double size = 0.3) : weights_(2 * letters * cells), gradients_(weights_.size()) {
    lk::random_stream r(seed);
    for (double& w : weights_) w = size * r.normal();
  }
  lk::rows<const double> forward(const lk::rollouts& x) {
    inputs_ = x;
    logits_.clear();
    states_.clear();
    for (std::size_t s = 0; s < x.size(); ++s) run(x[s].first(x[s].size() - 1), x.answer(s).size(), true);
    return {logits_.data(), logits_.size() / letters, letters};
  }
  lk::rows<const double> operator()(std::span<const lk::prefix> requests) {
    ++scored;
    trained_while_scoring |= training;
    logits_.clear();
    for (const lk::prefix& p : requests) run(p.tokens, p.wanted, false);
    return {logits_.data(), logits_.size() / letters, letters};
  }
  void backward(lk::rows<const double> g) {
    std::size_t row = g.samples, state = states_.size();
    for (std::size_t s = inputs_.size(); s-- > 0;) {
      const auto tokens = inputs_[s].first(inputs_[s].size() - 1);
      std::array<double, cells> back{};
      for (std::size_t t = tokens.size(); t-- > 0;) {
        state -= cells;
        for (double& b : back) b /= 2;
        if (t + 1 >= inputs_.prompts[s]) {
          --row;
          for (std::size_t h = 0; h < cells; ++h)
            for (std::size_t c = 0; c < letters; ++c) {
              gradients_[letters * cells + h * letters + c] += states_[state + h] * g(row, c);
              back[h] += weights_[letters * cells + h * letters + c] * g(row, c);
            }
        }
        for (std::size_t h = 0; h < cells; ++h) gradients_[static_cast<std::size_t>(tokens[t]) * cells + h] += back[h];
      }
    }
  }
  void zero_gradients() { std::fill(gradients_.begin(), gradients_.end(), 0.0); }
  std::vector<std::span<double>> parameters() { return {std::span(weights_)}; }
  std::vector<std::span<double>> gradients() { return {std::span(gradients_)}; }
  const std::vector<double>& weights() const { return weights_; }
  void train() { training = true; }
  void eval() { training = false; }
  bool is_training() const { return training; }

  bool training = true, trained_while_scoring = false;
  std::size_t scored = 0;

 private:
  void run(std::span<const lk::token_id> tokens, std::size_t wanted, bool keep) {
    std::array<double, cells> h{};
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      for (std::size_t i = 0; i < cells; ++i) h[i] = h[i] / 2 + weights_[static_cast<std::size_t>(tokens[t]) * cells + i];
      if (keep) states_.insert(states_.end(), h.begin(), h.end());
      if (t + wanted < tokens.size()) continue;
      for (std::size_t c = 0; c < letters; ++c) {
        double z = 0;
        for (std::size_t i = 0; i < cells; ++i) z += h[i] * weights_[letters * cells + i * letters + c];
        logits_.push_back(z);
      }
    }
  }
  std::vector<double> weights_, gradients_, logits_, states_;
  lk::rollouts inputs_;
};

/// Logits by the last token alone.
class table {
 public:
  explicit table(std::uint64_t seed, double size = 1.5) : logits_(letters * letters) {
    lk::random_stream r(seed);
    for (double& z : logits_) z = size * r.normal();
  }
  lk::rows<const double> operator()(std::span<const lk::prefix> requests) {
    out_.clear();
    for (const lk::prefix& p : requests)
      for (std::size_t t = p.tokens.size() - p.wanted; t < p.tokens.size(); ++t) {
        const auto from = logits_.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(p.tokens[t]) * letters);
        out_.insert(out_.end(), from, from + letters);
      }
    return {out_.data(), out_.size() / letters, letters};
  }
  lk::rows<const double> forward(const lk::rollouts& x) { return lk::answer_logits(*this, x); }

 private:
  std::vector<double> logits_, out_;
};

/// Prompts of one to three letters; answers of the teacher's, of one to eight.
struct lessons {
  std::vector<std::vector<lk::token_id>> prompts{}, privileged{}, answers{};
  template <class Teacher>
  lessons(std::size_t n, Teacher& teacher, std::uint64_t seed = 5) {
    lk::random_stream r(seed);
    for (std::size_t i = 0; i < n; ++i) {
      auto& p = prompts.emplace_back(1 + r.below(3));
      for (auto& token : p) token = static_cast<lk::token_id>(r.below(letters));
      privileged.push_back({static_cast<lk::token_id>(i % letters), static_cast<lk::token_id>(i % letters)});
      privileged.back().insert(privileged.back().end(), p.begin(), p.end());
    }
    const lk::rollouts written = lk::sample(teacher, prompts, {.length = 8, .end = 0, .seed = seed});
    for (std::size_t i = 0; i < n; ++i) answers.emplace_back(written.answer(i).begin(), written.answer(i).end());
  }
};

}  // namespace toy

#endif
