#ifndef LIMBECK_DENSE_BOX_HPP
#define LIMBECK_DENSE_BOX_HPP

/// @file
/// Boxes, how much two of them overlap, and which of many to keep.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// An upright rectangle, y downwards. Where it is in pixels, pixel (y, x) is the square from (y, x) to (y + 1, x + 1).
struct box {
  double left = 0;    ///< least x
  double top = 0;     ///< least y
  double right = 0;   ///< largest x
  double bottom = 0;  ///< largest y

  /// width times height.
  constexpr double area() const { return (right - left) * (bottom - top); }
};

namespace detail {

/// @throws value_error where a side of box @p i is not finite, or a box is turned inside out.
inline void check_box(const char* name, std::size_t i, const box& b) {
  const double all = b.left + b.top + b.right + b.bottom;
  if (all - all == 0 && b.left <= b.right && b.top <= b.bottom) return;
  raise<value_error>(std::string("limbeck: ") + name + " is " + show(b.left) + ", " + show(b.top) + ", " +
                     show(b.right) + ", " + show(b.bottom) + " at row " + std::to_string(i) +
                     ", expected finite left <= right and top <= bottom");
}

}  // namespace detail

/// The common area of two boxes over that of both together, in [0, 1]; 0 where both are empty. O(1).
inline double intersection_over_union(const box& a, const box& b) {
  const double width = (std::min)(a.right, b.right) - (std::max)(a.left, b.left);
  const double height = (std::min)(a.bottom, b.bottom) - (std::max)(a.top, b.top);
  if (!(width > 0 && height > 0)) return 0;
  return width * height / (a.area() + b.area() - width * height);
}

/// Greedy non-maximum suppression: the rows of @p boxes by falling score (equal ones by row), without those that
/// overlap one kept before by more than @p threshold; at most @p most of them. @p scores is any vector of numbers, one
/// a box. O(n log n + n kept).
/// @throws value_error where the threshold is not in [0, 1], a score is NaN or a box is none; shape_error where there
/// are not as many scores as boxes.
template <detail::sized_memory Scores>
std::vector<std::size_t> non_maximum(std::span<const box> boxes, const Scores& scores, double threshold,
                                     std::size_t most = static_cast<std::size_t>(-1)) {
  const any_vector s = detail::view_vector(scores);
  if (s.size() != boxes.size()) detail::throw_length("scores", s.size(), boxes.size(), "one a box");
  if (!(threshold >= 0 && threshold <= 1))
    raise<value_error>("limbeck: threshold is " + detail::show(threshold) + ", expected 0 to 1");
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    detail::check_box("boxes", i, boxes[i]);
    if (s.number(i) != s.number(i)) raise<value_error>("limbeck: scores is nan at row " + std::to_string(i));
  }
  std::vector<std::size_t> order(boxes.size()), kept;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return s.number(i) > s.number(j); });
  for (const std::size_t i : order) {
    if (kept.size() == most) break;
    const auto hides = [&](std::size_t k) { return intersection_over_union(boxes[k], boxes[i]) > threshold; };
    if (std::none_of(kept.begin(), kept.end(), hides)) kept.push_back(i);
  }
  return kept;
}

LIMBECK_END_NAMESPACE

#endif
