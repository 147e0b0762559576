#ifndef LIMBECK_DECODING_TOKEN_LAW_HPP
#define LIMBECK_DECODING_TOKEN_LAW_HPP

/// @file
/// The distribution from which a next token is drawn: temperature, top-k, top-p and min-p over a row of logits.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/tokens/segments.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// How tokens are drawn, and how many. The classes that are drawn from are cut in the order of Hugging Face's warpers: the
/// temperature first, then `top_k`, `top_p` of what that leaves, `min_p` of what that leaves; the most likely class is never cut.
/// Where Hugging Face keeps every class that is as likely as the k-th, here the lowest of them stay.
struct sampling {
  std::size_t length = 128;  ///< tokens that are written behind a prompt, at most
  double temperature = 1;    ///< of the softmax, >= 0; 0: greedy, the most likely token, the lowest of those
  std::size_t top_k = 0;     ///< how many of the likeliest classes stay; 0: all
  double top_p = 1;          ///< in (0, 1]: of the classes in falling order the fewest that have this mass
  double min_p = 0;          ///< in [0, 1]: classes stay whose probability is at least this times the largest
  token_id end = -1;         ///< a token that ends its sequence, and is its last; negative: none
  std::uint64_t seed = 0;    ///< of all that is random
  std::size_t first = 0;     ///< the number of the first sequence, where a call writes a part of them
};

/// The distribution of one next token. For decodings of your own, see `writing`.
///
/// Memory of it is kept from row to row. O(classes), and with `top_p` O(log classes) for each class that stays.
class token_law {
 public:
  /// That of the logits @p x, in double. @p where says which they are in an error.
  /// @throws value_error for a NaN, a +inf, or nothing but -inf.
  template <class Where>
  void set(std::span<const double> x, const sampling& how, Where&& where) {
    probabilities_.resize(x.size());
    logs_.resize(x.size());
    std::size_t best = 0;
    for (std::size_t c = 0; c < x.size(); ++c) {
      if (!(x[c] < std::numeric_limits<double>::infinity()))
        raise<value_error>("limbeck: " + std::string(where()) + " has the logit " + detail::show(x[c]) + " at token " + std::to_string(c) +
                           ", expected a finite one or -inf");
      if (x[c] > x[best]) best = c;
    }
    if (std::isinf(x[best])) raise<value_error>("limbeck: " + std::string(where()) + " has no logit but -inf");
    if (how.temperature == 0) {
      for (std::size_t c = 0; c < x.size(); ++c) drop(c);
      probabilities_[best] = total_ = 1;
      logs_[best] = 0;
      return;
    }
    for (std::size_t c = 0; c < x.size(); ++c) {
      logs_[c] = (x[c] - x[best]) / how.temperature;
      probabilities_[c] = std::exp(logs_[c]);
    }
    cut(how);
    for (std::size_t c = 0; c < x.size(); ++c)
      if (probabilities_[c] < how.min_p) drop(c);  // the largest is 1
    total_ = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
  }

  /// Becomes the mixture (1 - share) this + share other.
  void mix(const token_law& other, double share) {
    const double part = std::log1p(-share) - std::log(total_), others = std::log(share) - std::log(other.total_);
    for (std::size_t c = 0; c < size(); ++c) {
      const double p = (1 - share) * (probabilities_[c] / total_) + share * (other.probabilities_[c] / other.total_);
      if (p >= (std::numeric_limits<double>::min)()) {
        logs_[c] = std::log(p);
      } else {
        const double a = part + logs_[c], b = others + other.logs_[c], most = (std::max)(a, b);
        logs_[c] = std::isinf(most) ? most : most + std::log(std::exp(a - most) + std::exp(b - most));
      }
      probabilities_[c] = p;
    }
    total_ = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
  }

  /// How many classes.
  std::size_t size() const { return probabilities_.size(); }
  /// The probability of a token, 0 where it was cut.
  double operator[](token_id token) const { return probabilities_[static_cast<std::size_t>(token)] / total_; }
  /// Its entropy, in nats.
  double entropy() const {
    const double of_total = std::log(total_);
    double total = 0;
    for (std::size_t c = 0; c < size(); ++c)
      if (const double p = probabilities_[c] / total_; p > 0) total -= p * (logs_[c] - of_total);
    return total;
  }
  /// KL(this || other): +inf where the other was cut, or has -inf, at a token that this has.
  double divergence(const token_law& other) const {
    const double gap = std::log(total_) - std::log(other.total_);
    double total = 0;
    for (std::size_t c = 0; c < size(); ++c)
      if (const double p = probabilities_[c] / total_; p > 0) total += p * (logs_[c] - other.logs_[c] - gap);
    return total;
  }
  /// How many tokens are likelier, or as likely and lower.
  std::size_t rank(token_id token) const {
    const auto t = static_cast<std::size_t>(token);
    std::size_t before = 0;
    for (std::size_t c = 0; c < size(); ++c) before += likelier(c, t);
    return before;
  }
  /// Their probability.
  double mass_before(token_id token) const {
    const auto t = static_cast<std::size_t>(token);
    double mass = 0;
    for (std::size_t c = 0; c < size(); ++c)
      if (likelier(c, t)) mass += probabilities_[c];
    return mass / total_;
  }
  /// The first token up to which the probabilities come to more than @p u, in [0, 1).
  token_id at(double u) const {
    const double wanted = u * total_;
    double reached = 0;
    std::size_t last = 0;
    for (std::size_t c = 0; c < size(); ++c) {
      if (!(probabilities_[c] > 0)) continue;
      last = c;
      if ((reached += probabilities_[c]) > wanted) break;
    }
    return static_cast<token_id>(last);
  }
  /// A token by the next number of a stream.
  token_id draw(random_stream& random) const { return at(random.uniform()); }

 private:
  bool likelier(std::size_t a, std::size_t b) const { return logs_[a] != logs_[b] ? logs_[a] > logs_[b] : a < b; }
  void drop(std::size_t c) {
    probabilities_[c] = 0;
    logs_[c] = -std::numeric_limits<double>::infinity();
  }
  void cut(const sampling& how) {
    const std::size_t n = size(), k = how.top_k == 0 ? n : (std::min)(how.top_k, n);
    if (k == n && how.top_p >= 1) return;
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    const auto above = [&](std::size_t a, std::size_t b) { return likelier(a, b); };
    const auto at = [&](std::size_t i) { return order_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (k < n) std::nth_element(at(0), at(k), at(n), above);
    for (std::size_t i = k; i < n; ++i) drop(order_[i]);
    if (how.top_p >= 1) return;
    const double mass = how.top_p * std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
    const auto below = [&](std::size_t a, std::size_t b) { return likelier(b, a); };
    std::make_heap(at(0), at(k), below);  // a sorted vocabulary is dear, and few of it stay
    std::size_t left = k;
    for (double reached = 0; left > 0 && (left == k || reached < mass); reached += probabilities_[order_[left]])
      std::pop_heap(at(0), at(left--), below);
    for (std::size_t i = 0; i < left; ++i) drop(order_[i]);
  }

  std::vector<double> probabilities_{};  // times total_
  std::vector<double> logs_{};           // of them, where they are too small for a double too
  std::vector<std::size_t> order_{};
  double total_ = 1;
};

LIMBECK_END_NAMESPACE

#endif
