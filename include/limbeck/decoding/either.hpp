#ifndef LIMBECK_DECODING_EITHER_HPP
#define LIMBECK_DECODING_EITHER_HPP

/// @file
/// Two models, or two contexts of one, of which a coin says token by token who writes.

#include <limbeck/decoding/sample.hpp>

#include <cstddef>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// See either().
template <class First, class Second>
class either_decoding {
 public:
  /// See either().
  either_decoding(First first, Second second, double share)
      : first_(std::forward<First>(first)), second_(std::forward<Second>(second)), share_(share) {
    detail::require_share("either", share);
  }
  /// A token behind each open sequence, by the model that its coin chose; the other one sees it when it is asked again.
  void round(writing& w) {
    by_first_.clear(), by_second_.clear();
    for (const std::size_t s : w.open()) {
      auto dice = w.dice(s);
      dice.skip(1);  // that of the token
      (dice.uniform() < share_ ? by_second_ : by_first_).push_back(s);
    }
    detail::write_by(w, first_, "first", by_first_, 0, law_);
    detail::write_by(w, second_, "second", by_second_, 1, law_);
  }

 private:
  First first_;
  Second second_;
  double share_;
  std::vector<std::size_t> by_first_{}, by_second_{};
  token_law law_{};
};

/// For `sample`: each token is written by @p second with the probability @p share, else by @p first; both go on behind it.
/// With full distributions its law is that of `mixed`; with 0 or 1 the samples are those of one model, bit for bit.
///
/// MixSD (2026, arXiv:2605.16865) mixes two contexts of one model: `either(base, in_context(base, with_answers), 0.5)`, where its
/// lambda is 1 - share (0.3 to 0.5 advised), greedy, and keeps an answer that is right. Models are held by reference,
/// temporary ones by value. A round asks each model for its own sequences only: a call each.
/// @throws value_error where @p share is not in [0, 1].
template <class First, class Second>
either_decoding<First, Second> either(First&& first, Second&& second, double share) {
  detail::require_scorers<First, Second>();
  return {std::forward<First>(first), std::forward<Second>(second), share};
}

LIMBECK_END_NAMESPACE

#endif
