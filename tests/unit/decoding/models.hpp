#ifndef LIMBECK_TESTS_UNIT_DECODING_MODELS_HPP
#define LIMBECK_TESTS_UNIT_DECODING_MODELS_HPP

// Scorers over a handful of tokens, of which everything can be enumerated; they check what they are asked.

#include <limbeck/decoding/scorer.hpp>
#include <limbeck/core/random.hpp>

#include <cmath>
#include <map>
#include <stdexcept>
#include <vector>

namespace limbeck_test {

using token = limbeck::token_id;
using text = std::vector<token>;

/// Logits behind a text: any function of it that reads nothing but the order of its tokens.
inline std::vector<double> logits_behind(std::uint64_t state, std::size_t vocabulary) {
  std::vector<double> x(vocabulary);
  limbeck::random_stream random(state);
  for (double& v : x) v = 1.5 * random.normal();
  return x;
}

/// Reads its state off the last two tokens: an n-gram. With `keeps`, off all of them, and keeps it from request to request.
struct toy_model {
  std::uint64_t seed = 1;
  std::size_t vocabulary = 4;
  bool keeps = false;

  std::size_t calls = 0, rows = 0, shown = 0;  // shown: tokens that were not known
  std::map<std::size_t, text> seen{};
  std::map<std::size_t, std::vector<std::uint64_t>> states{};
  std::vector<float> out{};

  std::uint64_t begin() const { return seed * 1000003; }
  static std::uint64_t next(std::uint64_t state, token t) { return limbeck::random_stream(state).split(static_cast<std::uint64_t>(t))(); }
  /// What it says behind a text, afresh.
  std::vector<double> behind(const text& tokens) const {
    std::uint64_t state = begin();
    for (std::size_t i = keeps || tokens.size() < 2 ? 0 : tokens.size() - 2; i < tokens.size(); ++i) state = next(state, tokens[i]);
    auto x = logits_behind(state, vocabulary);
    for (double& v : x) v = static_cast<double>(static_cast<float>(v));
    return x;
  }
  limbeck::rows<const float> operator()(std::span<const limbeck::prefix> requests) {
    ++calls;
    out.clear();
    std::size_t n = 0;
    for (const limbeck::prefix& p : requests) {
      text& before = seen[p.sequence];
      if (p.wanted == 0 || p.known + p.wanted > p.tokens.size() || p.known > before.size() || p.prompt == 0 ||
          p.prompt > p.tokens.size() || !std::equal(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(p.known), p.tokens.begin()))
        throw std::logic_error("a request that is none");
      before.assign(p.tokens.begin(), p.tokens.end());
      shown += p.tokens.size() - p.known;
      auto& state = states[p.sequence];  // state[i]: behind i tokens
      state.resize(p.known + (state.empty() || p.known > 0));
      if (p.known == 0) state.assign(1, begin());
      for (std::size_t i = p.known; i < p.tokens.size(); ++i) state.push_back(next(state[i], p.tokens[i]));
      for (std::size_t i = p.tokens.size() - p.wanted; i < p.tokens.size(); ++i, ++n) {
        const auto x = keeps ? logits_behind(state[i + 1], vocabulary)
                             : behind(text(p.tokens.begin(), p.tokens.begin() + static_cast<std::ptrdiff_t>(i + 1)));
        for (const double v : x) out.push_back(static_cast<float>(v));
      }
    }
    rows += n;
    return {out.data(), n, vocabulary};
  }
};

}  // namespace limbeck_test

#endif
