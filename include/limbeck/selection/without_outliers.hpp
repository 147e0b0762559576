#ifndef LIMBECK_SELECTION_WITHOUT_OUTLIERS_HPP
#define LIMBECK_SELECTION_WITHOUT_OUTLIERS_HPP

/// @file
/// Rows whose score is not far from the mean.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Rows i with |S_i - mean S| <= deviations std S, std being that of a sample (over n - 1). All rows where they are
/// equal, and of fewer than two.
///
/// How BiomedCoOp drops prompts: S_i = mean over the images of the largest logit that prompt i gives (Koleilat et al.,
/// BiomedCoOp: Learning to Prompt for Biomedical Vision-Language Models, 2025, arXiv:2411.15232). The authors' code
/// first takes (S - median) over the median of |S - median|, which cancels here: the same rows.
struct without_outliers {
  double deviations = 1.5;  ///< at least 0

  /// Rows kept, ascending. O(n). @throws value_error where `deviations` is negative or a score is not finite.
  template <detail::sized_memory V>
  std::vector<std::size_t> operator()(const V& scores) const {
    const any_vector s = detail::view_vector(scores);
    if (!(deviations >= 0))
      raise<value_error>("limbeck: deviations is " + detail::show(deviations) + ", expected a number >= 0");
    double centre = 0, squares = 0;
    for (std::size_t r = 0; r < s.size(); ++r) {
      const double value = s.number(r);
      if (!std::isfinite(value))
        raise<value_error>("limbeck: the score of row " + std::to_string(r) + " is " + detail::show(value) +
                           ", expected a finite number");
      const double step = value - centre;  // Welford's, which does not cancel
      centre += step / static_cast<double>(r + 1);
      squares += step * (value - centre);
    }
    const double most = s.size() < 2 || squares == 0
                            ? std::numeric_limits<double>::infinity()
                            : deviations * std::sqrt(squares / static_cast<double>(s.size() - 1));
    std::vector<std::size_t> kept;
    for (std::size_t r = 0; r < s.size(); ++r)
      if (std::fabs(s.number(r) - centre) <= most) kept.push_back(r);
    return kept;
  }
};

LIMBECK_END_NAMESPACE

#endif
