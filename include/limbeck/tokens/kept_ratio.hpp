#ifndef LIMBECK_TOKENS_KEPT_RATIO_HPP
#define LIMBECK_TOKENS_KEPT_RATIO_HPP

/// @file
/// AdaKD: which share of the tokens is learnt from, as the loss tells.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/errors.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Settings of `kept_ratio`.
struct kept_ratio_options {
  std::uint64_t warm_up = 0;  ///< updates before the loss is first held against anything; the authors take 5 % of all
  double tolerance = 0.05;    ///< epsilon: relative change of the loss that moves the ratio, at least 0
  double step = 0.05;         ///< sigma: by which share it moves, in [0, 1)
  double momentum = 0.99;     ///< of the average of the loss, in [0, 1)
  double least = 0.1;         ///< the smallest ratio, in (0, 1]
};

/// Loss-driven adaptive token focusing (LATF): the ratio r of tokens that are kept, from 1 at first; while the loss
/// falls fewer and harder ones, where it rises more.
///
/// With e the exponential average of the loss: the first update after the warm-up sets the mark, e* = e. From then on,
/// where e > (1 + epsilon) e* r <- min(1, (1 + sigma) r) and e* <- e; where e < (1 - epsilon) e*, r <- max(least, (1 -
/// sigma) r) and e* <- e. The tokens are `top_share_mask(difficulty, c.ratio(), used, mask, ws)`, max(1, floor(r n)) of
/// n.
///
/// Xie et al., AdaKD, 2025, arXiv:2510.11615, and the authors' code (its script's epsilon and sigma; the average begins
/// with the first loss).
class kept_ratio {
 public:
  /// @throws value_error where an option is outside its range.
  explicit kept_ratio(const kept_ratio_options& options = {}) : options_(options) {
    const auto check = [](bool good, const char* name, double x, const char* expected) {
      if (!good)
        raise<value_error>(std::string("limbeck: ") + name + " of kept_ratio is " + detail::show(x) + ", expected " +
                           expected);
    };
    check(options.tolerance >= 0 && options.tolerance - options.tolerance == 0, "tolerance", options.tolerance,
          "a number that is at least 0");
    check(options.step >= 0 && options.step < 1, "step", options.step, "a number in [0, 1)");
    check(options.momentum >= 0 && options.momentum < 1, "momentum", options.momentum, "a number in [0, 1)");
    check(options.least > 0 && options.least <= 1, "least", options.least, "a number in (0, 1]");
  }
  /// The share of the tokens at the next step.
  double ratio() const { return ratio_; }
  /// To be called after each step with its loss. @throws value_error where it is not finite; the state stays.
  void update(double loss) {
    if (loss - loss != 0)
      raise<value_error>("limbeck: the loss given to kept_ratio is " + detail::show(loss) +
                         ", expected a finite number");
    average_ = updates_ == 0 ? loss : options_.momentum * average_ + (1 - options_.momentum) * loss;
    ++updates_;
    if (updates_ <= options_.warm_up) return;
    if (updates_ == options_.warm_up + 1) {
      mark_ = average_;
    } else if (average_ - mark_ > mark_ * options_.tolerance) {
      ratio_ = (std::min)(1.0, ratio_ * (1 + options_.step));
      mark_ = average_;
    } else if (mark_ - average_ > mark_ * options_.tolerance) {
      ratio_ = (std::max)(options_.least, ratio_ * (1 - options_.step));
      mark_ = average_;
    }
  }
  /// Saves or restores the state.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("updates", updates_);
    archive("ratio", ratio_);
    archive("average", average_);
    archive("mark", mark_);
  }
  /// Its settings in words.
  std::string describe() const {
    return "kept_ratio(warm_up " + std::to_string(options_.warm_up) + ", tolerance " +
           detail::digits(options_.tolerance) + ", step " + detail::digits(options_.step) + ", momentum " +
           detail::digits(options_.momentum) + ", least " + detail::digits(options_.least) + ')';
  }

 private:
  kept_ratio_options options_;
  std::uint64_t updates_ = 0;
  double ratio_ = 1, average_ = 0, mark_ = 0;
};

LIMBECK_END_NAMESPACE

#endif
