#ifndef LIMBECK_DENSE_BOUNDARY_MASK_HPP
#define LIMBECK_DENSE_BOUNDARY_MASK_HPP

/// @file
/// Where the classes of a labelled picture meet: masks of boundaries, and the weights of a loss on them.

#include <limbeck/dense/grid.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// How wide a boundary is, and of what pictures.
struct boundary {
  std::size_t height = 0;       ///< of a picture
  std::size_t width = 0;        ///< of a picture
  std::size_t radius = 3;       ///< of the window: 2 radius + 1 positions on a side
  std::int64_t ignored = -100;  ///< the label of positions that are of no class
};

namespace detail {

/// f(q) for the positions of the window around @p p, cut off at the borders of p's picture.
template <class F>
void for_window(const boundary& of, std::size_t p, const F& f) {
  const std::size_t positions = of.height * of.width, first = p / positions * positions;
  const std::size_t y = (p - first) / of.width, x = (p - first) % of.width;
  const std::size_t top = y < of.radius ? 0 : y - of.radius, left = x < of.radius ? 0 : x - of.radius;
  const std::size_t bottom = (std::min)(of.height, y + of.radius + 1), right = (std::min)(of.width, x + of.radius + 1);
  for (std::size_t j = top; j < bottom; ++j)
    for (std::size_t i = left; i < right; ++i) f(first + j * of.width + i);
}

}  // namespace detail

/// For each class its boundary, a morphological gradient: mask(p, c) is the dilation of the class less its erosion, by
/// a square of 2 radius + 1 positions: 1 where the window around p has both positions of class c and of another one,
/// else 0.
/// @p labels are pictures one after the other, @p mask is positions x classes. The border of a picture is no boundary:
/// windows end there. Positions whose label is `ignored` have 0 and are not looked at from others (the window is that
/// without them). O(positions (2 radius + 1)^2), and allocates nothing.
/// @throws value_error, before anything is written, where a label is no class of the mask; shape_error where the labels are no whole pictures or the
/// mask has not their number of rows.
///
/// Liu et al., BPKD: Boundary Privileged Knowledge Distillation for Semantic Segmentation, 2024, arXiv:2306.08075, as
/// reimplemented (the authors published the evaluation only), radius 3. There the mask has the size of the labels and
/// is pooled to that of the logits.
template <detail::sized_memory Labels, class T>
void class_boundary_mask(const Labels& labels, const boundary& of, const rows<T>& mask) {
  const any_vector y = detail::view_vector(labels);
  detail::pictures_in("labels", y.size(), {of.height, of.width});
  const std::size_t classes = mask.classes;
  detail::check_shape("mask", mask, y.size(), classes);
  for (std::size_t p = 0; p < y.size(); ++p) (void)detail::class_at(y, p, classes, of.ignored);
  for (std::size_t p = 0; p < y.size(); ++p) {
    const std::size_t own = detail::class_at(y, p, classes, of.ignored);
    for (std::size_t c = 0; c < classes; ++c) mask(p, c) = T(0);
    if (own == classes) continue;
    bool edge = false;
    detail::for_window(of, p, [&](std::size_t q) {
      const std::size_t c = detail::class_at(y, q, classes, of.ignored);
      if (c < classes) mask(p, c) = T(1), edge = edge || c != own;
    });
    if (!edge) mask(p, own) = T(0);
  }
}

/// The same of all classes together: @p mask (any vector of numbers, one a position) is 1 where the window around a
/// position has two different labels. Returns how many are 1. Labels are any whole numbers.
template <detail::sized_memory Labels, detail::sized_memory Mask>
std::size_t boundary_mask(const Labels& labels, const boundary& of, Mask&& mask) {
  const any_vector y = detail::view_vector(labels);
  detail::pictures_in("labels", y.size(), {of.height, of.width});
  const auto out = detail::output_vector("mask", mask, y.size(), "one a position");
  std::size_t edges = 0;
  for (std::size_t p = 0; p < y.size(); ++p) {
    const std::int64_t own = y.integer(p);
    bool edge = false;
    if (own != of.ignored)
      detail::for_window(of, p,
                         [&](std::size_t q) { edge = edge || (y.integer(q) != own && y.integer(q) != of.ignored); });
    detail::put(out, p, edge ? 1 : 0);
    edges += edge;
  }
  return edges;
}

/// BPKD's weight of a position in its loss on edges: w_i = sum_c M(i, c)/max(sum_j M(j, c), 1), the sums over j within
/// i's picture of @p positions, so that every class that has a boundary counts 1 a picture. As row weights, with the
/// sum over rows divided by the number of pictures (`mean_over(pictures)`), a loss of rows is the paper's L_E. @p mask
/// is positions x classes, as class_boundary_mask() makes it or pooled; @p weights any vector of numbers, one a
/// position. O(positions classes), and allocates nothing. @throws shape_error where lengths do not fit.
template <tensor Mask, detail::sized_memory Weights>
void boundary_weights(const Mask& mask, std::size_t positions, Weights&& weights) {
  const auto m = detail::host_view(mask);
  const std::size_t pictures = detail::pictures_in("mask", m.samples, {1, positions});
  const auto out = detail::output_vector("weights", weights, m.samples, "one a position");
  for (std::size_t i = 0; i < m.samples; ++i) detail::put(out, i, 0);
  for (std::size_t n = 0; n < pictures; ++n)
    for (std::size_t c = 0; c < m.classes; ++c) {
      double total = 0;
      for (std::size_t i = n * positions; i < (n + 1) * positions; ++i) total += static_cast<double>(m(i, c));
      for (std::size_t i = n * positions; i < (n + 1) * positions; ++i) {
        auto& w = out.data[static_cast<std::ptrdiff_t>(i) * out.stride];
        w = static_cast<std::remove_cvref_t<decltype(w)>>(static_cast<double>(w) +
                                                          static_cast<double>(m(i, c)) / (std::max)(total, 1.0));
      }
    }
}

LIMBECK_END_NAMESPACE

#endif
