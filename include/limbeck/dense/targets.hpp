#ifndef LIMBECK_DENSE_TARGETS_HPP
#define LIMBECK_DENSE_TARGETS_HPP

/// @file
/// Teachers' maps made into targets: heatmaps of key points as clean peaks, and what an assistant lacks of its teacher.

#include <limbeck/dense/grid.hpp>

#include <cmath>
#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Each heatmap as a Gaussian of deviation @p sigma and height 1 around its highest position (the first of several):
/// row k of @p out becomes exp(-(dx^2 + dy^2)/(2 sigma^2)), dx and dy the distances to the highest position of row k of
/// @p heatmaps, and 0 where one of them is above 3 sigma. Rows are key points of all pictures, columns the positions of
/// one; @p out may be @p heatmaps itself. @p peaks, any vector of numbers, one a row, gets the heights that the teacher
/// gave: `quantile_mask(peaks, 0.5, mask, ws)` is a mask of the surer half. O(rows positions), and allocates nothing.
/// @throws value_error, before anything is written, where a number is NaN or sigma is not positive, shape_error where shapes do not fit.
///
/// As POST's teacher makes its targets, with sigma 2: Raychaudhuri et al., Prior-guided Source-free Domain Adaptation
/// for Human Pose Estimation, 2023, arXiv:2308.13954, after its authors' code; there the mask keeps what is above the
/// (0.5 n)-th smallest peak, the same where n is even and no two peaks are equal. A map without a positive number is
/// drawn at (0, 0) there, and here at its highest position.
template <tensor Heatmaps, class T, detail::sized_memory Peaks>
void rectified_heatmaps(const Heatmaps& heatmaps, const grid& shape, double sigma, const rows<T>& out, Peaks&& peaks) {
  const auto in = detail::host_view(heatmaps);
  detail::check_shape("heatmaps", in, in.samples, shape.positions());
  detail::check_shape("out", out, in.samples, in.classes);
  const auto heights = detail::output_vector("peaks", peaks, in.samples, "one a row");
  if (!(sigma > 0)) raise<value_error>("limbeck: sigma is " + detail::show(sigma) + ", expected a positive number");
  for (std::size_t k = 0; k < in.samples; ++k)
    for (std::size_t p = 0; p < in.classes; ++p)
      if (in(k, p) != in(k, p))
        raise<value_error>("limbeck: heatmaps is nan at row " + std::to_string(k) + ", column " + std::to_string(p));
  for (std::size_t k = 0; k < in.samples; ++k) {
    if (in.classes == 0) continue;
    std::size_t best = 0;
    for (std::size_t p = 0; p < in.classes; ++p)
      if (in(k, p) > in(k, best)) best = p;
    detail::put(heights, k, in(k, best));
    const auto apart = [](std::size_t a, std::size_t b) {
      return a < b ? static_cast<double>(b - a) : static_cast<double>(a - b);
    };
    for (std::size_t p = 0; p < in.classes; ++p) {
      const double y = apart(p / shape.width, best / shape.width), x = apart(p % shape.width, best % shape.width);
      out(k, p) = static_cast<T>(y > 3 * sigma || x > 3 * sigma ? 0 : std::exp(-(y * y + x * x) / (2 * sigma * sigma)));
    }
  }
}

/// What an assistant lacks of its teacher, without the small part: out = |a - t| where that is at least @p keep_above
/// times its largest value over all elements, else 0. The target of MonoTAKD's second branch, which is to learn what
/// the first cannot;
/// @p out may be either of them. O(elements), and allocates nothing.
/// @throws shape_error where shapes differ, value_error where a difference is not finite or @p keep_above is not in [0,
/// 1].
///
/// Liu et al., MonoTAKD: Teaching Assistant Knowledge Distillation for Monocular 3D Object Detection, 2025,
/// arXiv:2404.04910, after its authors' code, with 3/5 (there the assistant's features are brought to [0, 1] before).
template <tensor Assistant, tensor Teacher, class T>
void residual_features(const Assistant& assistant, const Teacher& teacher, const rows<T>& out,
                       double keep_above = 0.6) {
  const auto a = detail::host_view(assistant);
  const auto t = detail::host_view(teacher);
  detail::check_shape("teacher", t, a.samples, a.classes);
  detail::check_shape("out", out, a.samples, a.classes);
  if (!(keep_above >= 0 && keep_above <= 1))
    raise<value_error>("limbeck: keep_above is " + detail::show(keep_above) + ", expected 0 to 1");
  double largest = 0;
  for (std::size_t r = 0; r < a.samples; ++r)
    for (std::size_t c = 0; c < a.classes; ++c) {
      const double d = std::abs(static_cast<double>(a(r, c)) - static_cast<double>(t(r, c)));
      if (d - d != 0)
        raise<value_error>("limbeck: assistant and teacher are " + detail::show(d) + " apart at row " +
                           std::to_string(r) + ", column " + std::to_string(c));
      if (d > largest) largest = d;
      out(r, c) = static_cast<T>(d);
    }
  const double least = keep_above * static_cast<double>(static_cast<T>(largest));  // of what out holds
  for (std::size_t r = 0; r < a.samples; ++r)
    for (std::size_t c = 0; c < a.classes; ++c)
      if (static_cast<double>(out(r, c)) < least) out(r, c) = T(0);
}

LIMBECK_END_NAMESPACE

#endif
