#ifndef LIMBECK_DENSE_BOX_MASK_HPP
#define LIMBECK_DENSE_BOX_MASK_HPP

/// @file
/// Foreground and background of a feature map, told by boxes, each object counted alike whatever its size.

#include <limbeck/dense/box.hpp>
#include <limbeck/dense/grid.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The cells of @p shape that a box touches, [first, last) in both directions; empty where it is outside or has no
/// area.
struct cells {
  std::size_t left, top, right, bottom;
  cells(const box& b, const grid& shape)
      : left(low(b.left, shape.width)),
        top(low(b.top, shape.height)),
        right(high(b.right, shape.width)),
        bottom(high(b.bottom, shape.height)) {
    if (b.area() == 0 || left >= right || top >= bottom) right = left, bottom = top;
  }
  std::size_t count() const { return (right - left) * (bottom - top); }

 private:
  static std::size_t low(double x, std::size_t end) { return clamped(std::floor(x), end); }
  static std::size_t high(double x, std::size_t end) { return clamped(std::ceil(x), end); }
  static std::size_t clamped(double x, std::size_t end) {
    const double most = static_cast<double>(end);
    return static_cast<std::size_t>(x < 0 ? 0 : x > most ? most : x);
  }
};

}  // namespace detail

/// The scale masks of box-guided feature distillation. @p foreground (a number a position) is 1/(cells of the box) on
/// the cells that a box touches, that of the smallest box where several do, and 0 elsewhere; @p background is 1/(number
/// of cells in no box) on these, and 0 in boxes. Each box alone sums to 1, and so does the background, so that as row
/// weights alpha foreground + beta background they count every object alike. Returns the number of cells in boxes.
///
/// Boxes are in cells of the feature map (pixels over the stride); what is outside is cut off. Boxes of no area mark
/// nothing. O(positions + cells of the boxes), and allocates nothing.
/// @throws value_error where a box is not finite or turned inside out; shape_error where a mask has not one number a
/// position.
///
/// Yang et al., Focal and Global Knowledge Distillation for Detectors, 2022, arXiv:2111.11837, eq. 3 and 4, as used by
/// Lan and Tian, CLoCKDistill, 2025, arXiv:2502.10683. FGD's code reaches one cell further to the right and down, and
/// indexes its mask by x before y; here the cells are those that a box touches.
template <detail::sized_memory Foreground, detail::sized_memory Background>
std::size_t box_mask(std::span<const box> boxes, const grid& shape, Foreground&& foreground, Background&& background) {
  const auto front = detail::output_vector("foreground", foreground, shape.positions(), "one a position");
  const auto back = detail::output_vector("background", background, shape.positions(), "one a position");
  for (std::size_t i = 0; i < boxes.size(); ++i) detail::check_box("boxes", i, boxes[i]);
  for (std::size_t p = 0; p < shape.positions(); ++p) detail::put(front, p, 0);
  for (const box& b : boxes) {
    const detail::cells in(b, shape);
    const double weight = 1 / static_cast<double>(in.count());
    for (std::size_t y = in.top; y < in.bottom; ++y)
      for (std::size_t x = in.left; x < in.right; ++x) {
        auto& at = front.data[static_cast<std::ptrdiff_t>(y * shape.width + x) * front.stride];
        at = (std::max)(at, static_cast<std::remove_cvref_t<decltype(at)>>(weight));
      }
  }
  std::size_t inside = 0;
  const auto is_inside = [&](std::size_t p) { return front.data[static_cast<std::ptrdiff_t>(p) * front.stride] > 0; };
  for (std::size_t p = 0; p < shape.positions(); ++p) inside += is_inside(p);
  const double rest = inside == shape.positions() ? 0 : 1 / static_cast<double>(shape.positions() - inside);
  for (std::size_t p = 0; p < shape.positions(); ++p) detail::put(back, p, is_inside(p) ? 0 : rest);
  return inside;
}

LIMBECK_END_NAMESPACE

#endif
