#ifndef LIMBECK_DECODING_MIXED_HPP
#define LIMBECK_DECODING_MIXED_HPP

/// @file
/// Two models whose probabilities are mixed, token by token.

#include <limbeck/decoding/sample.hpp>

#include <cstddef>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// See mixed().
template <class First, class Second>
class mixed_decoding {
 public:
  /// See mixed().
  mixed_decoding(First first, Second second, double share)
      : first_(std::forward<First>(first)), second_(std::forward<Second>(second)), share_(share) {
    detail::require_share("mixed", share);
  }
  /// A token behind each open sequence.
  void round(writing& w) {
    const auto a = w.ask(first_, "first", w.open()).kept(kept_);
    const auto b = w.ask(second_, "second", w.open());
    for (std::size_t i = 0; i < w.open().size(); ++i) {
      const std::size_t s = w.open()[i];
      w.law(a, i, s, w.size(s), w.how(), law_);
      w.law(b, i, s, w.size(s), w.how(), other_);
      law_.mix(other_, share_);
      auto dice = w.dice(s);
      w.write(s, law_, law_.draw(dice), 0);
    }
  }

 private:
  First first_;
  Second second_;
  double share_;
  std::vector<double> kept_{};
  token_law law_{}, other_{};
};

/// For `sample`: each token is drawn from (1 - share) p_first + share p_second, of the distributions that the settings of `sample`
/// leave of each; log-probabilities are those of the mixture.
///
/// `sample(mixed(student, teacher, 0.2), prompts)` is MiniLLM's teacher-mixed sampling, which keeps a weak student from
/// degenerate text (Gu, Dong, Wei and Huang, 2023, arXiv:2306.08543: p~ = alpha p_T + (1 - alpha) q, alpha = 0.2; the authors' code cuts
/// before it mixes, too). Its weights of importance are q / p~. Models are held by reference, temporary ones by value. A round is a
/// call of each.
/// @throws value_error where @p share is not in [0, 1].
template <class First, class Second>
mixed_decoding<First, Second> mixed(First&& first, Second&& second, double share) {
  detail::require_scorers<First, Second>();
  return {std::forward<First>(first), std::forward<Second>(second), share};
}

LIMBECK_END_NAMESPACE

#endif
