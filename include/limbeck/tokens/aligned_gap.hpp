#ifndef LIMBECK_TOKENS_ALIGNED_GAP_HPP
#define LIMBECK_TOKENS_ALIGNED_GAP_HPP

/// @file
/// Tokens that a student can learn, told by a teacher with another tokenizer.

#include <limbeck/selection/reference_gap.hpp>
#include <limbeck/tokens/aligned.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// `reference_gap` across tokenizers: of the student's tokens that are mapped to any of the teacher's, the fraction @p
/// keep with the largest gap, the student's loss less the largest loss of the teacher's tokens of map(i); and all that
/// are not mapped.
///
/// A composition of ours: that the largest loss is best among the tokens of a map, that unmapped ones are kept and that
/// 0.4 are kept of the others is what summaries say of Shin, Ji, Liu and Gong, VocAgnoLM, 2025, arXiv:2503.19123; its
/// formulas were not read. With one tokenizer for both it is `reference_gap`.
struct aligned_gap {
  double keep = 0.4;  ///< fraction of the mapped tokens, in [0, 1]

  /// Writes the mask of the student's tokens, returns how many it keeps. @p student and @p teacher are the losses of
  /// their tokens, any vectors of numbers; where @p used is 0 a token is not kept and its loss may be anything.
  /// O(tokens + pairs).
  /// @throws value_error where keep is no fraction or a gap is NaN, shape_error where a length does not fit.
  template <detail::sized_memory Student, detail::sized_memory Teacher, detail::sized_memory Used,
            detail::sized_memory Mask>
  std::size_t operator()(const Student& student, const Teacher& teacher, const token_alignment& a, const Used& used,
                         Mask&& mask) const {
    const any_vector counts = detail::view_vector(used);
    if (counts.size() != a.size()) detail::throw_length("used", counts.size(), a.size(), "one a token of the student");
    const std::size_t mine = detail::view_vector(student).size(), theirs = detail::view_vector(teacher).size();
    if (mine != a.size()) detail::throw_length("student", mine, a.size(), "one a token");
    if (theirs != a.teacher_tokens()) detail::throw_length("teacher", theirs, a.teacher_tokens(), "one a token");
    const auto out = detail::output_vector("mask", mask, a.size(), "one a token of the student");
    detail::check_fraction("keep", keep);
    std::vector<double> of_teacher(a.size());
    std::vector<unsigned char> mapped(a.size());
    largest_of_aligned(a, teacher, of_teacher);
    for (std::size_t i = 0; i < a.size(); ++i) mapped[i] = counts.number(i) != 0 && !a[i].empty();
    const bool any = std::count(mapped.begin(), mapped.end(), 1) > 0;
    std::size_t kept = any ? reference_gap{keep}(student, of_teacher, mapped, mask) : 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (mapped[i]) continue;
      const bool unmapped = counts.number(i) != 0;
      detail::put(out, i, unmapped ? 1 : 0);
      kept += unmapped;
    }
    return kept;
  }
};

LIMBECK_END_NAMESPACE

#endif
