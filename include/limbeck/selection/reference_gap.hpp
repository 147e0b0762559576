#ifndef LIMBECK_SELECTION_REFERENCE_GAP_HPP
#define LIMBECK_SELECTION_REFERENCE_GAP_HPP

/// @file
/// Tokens that a student of this size can still learn, told by a reference model of the same size.

#include <limbeck/selection/quantile.hpp>

#include <cstddef>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// mask_i = 1 for the fraction @p keep of rows with the largest gap, draft loss less reference loss:
/// gap_i >= quantile(gap, 1 - keep), linear interpolation, ties kept. Each loss is a vector with one number a row, from
/// `row_losses` with forward KL at T = 1 in the paper. The mask is held fixed: use it as row weights. Where the sum is
/// divided by the number of kept rows or of all rows is the objective's affair; the authors' trainer divides by all
/// rows of an accumulated batch if it knows their number, else by the kept ones.
///
/// Hu, Guo, Feng and Zhao, AdaSPEC, 2025, arXiv:2510.19779 (keep = 0.4), after its authors' code.
struct reference_gap {
  double keep = 0.4;  ///< fraction of rows, in [0, 1]

  /// Writes the mask, returns how many rows it keeps. O(rows).
  /// @throws value_error where keep is no fraction or a gap is NaN, shape_error where lengths differ or are 0.
  template <detail::sized_memory Draft, detail::sized_memory Reference, detail::sized_memory Mask>
  std::size_t operator()(const Draft& draft, const Reference& reference, Mask&& mask) const {
    return apply(detail::view_vector(draft), detail::view_vector(reference), any_vector{}, mask);
  }
  /// The same among the rows where @p used is not 0; the others get 0.
  template <detail::sized_memory Draft, detail::sized_memory Reference, detail::sized_memory Used,
            detail::sized_memory Mask>
  std::size_t operator()(const Draft& draft, const Reference& reference, const Used& used, Mask&& mask) const {
    return apply(detail::view_vector(draft), detail::view_vector(reference), detail::view_vector(used), mask);
  }

 private:
  template <class Mask>
  std::size_t apply(const any_vector& draft, const any_vector& reference, const any_vector& used, Mask& mask) const {
    detail::check_fraction("keep", keep);
    if (reference.size() != draft.size()) detail::throw_length("reference", reference.size(), draft.size());
    std::vector<double> gap(draft.size());
    for (std::size_t i = 0; i < gap.size(); ++i)
      gap[i] = !used.empty() && i < used.size() && used.number(i) == 0 ? 0 : draft.number(i) - reference.number(i);
    workspace ws;
    return detail::quantile_mask(detail::view_vector(gap), 1 - keep, used, mask, ws);
  }
};

LIMBECK_END_NAMESPACE

#endif
