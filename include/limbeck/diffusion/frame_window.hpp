#ifndef LIMBECK_DIFFUSION_FRAME_WINDOW_HPP
#define LIMBECK_DIFFUSION_FRAME_WINDOW_HPP

/// @file
/// A window of frames of a long rollout, which a teacher of short ones can judge.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/target.hpp>

#include <cstddef>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// Frames first to first + count - 1.
struct frame_window {
  std::size_t first = 0;  ///< of the frames, counted from 0
  std::size_t count = 0;  ///< how many

  /// These frames of a tensor whose columns are frames, each of @p width columns: a view of samples x (count width).
  /// @throws shape_error where the tensor has not so many columns
  template <tensor X>
  auto columns(X&& x, std::size_t width = 1) const {
    const auto all = view(std::forward<X>(x));
    if (!within(all.classes, width)) refuse("columns", (first + count) * width, all.classes);
    auto part = all;
    part.data += static_cast<std::ptrdiff_t>(first * width) * all.class_stride, part.classes = count * width;
    return part;
  }
  /// These frames of a tensor whose rows are the frames of one rollout, each of @p height rows.
  /// @throws shape_error where the tensor has not so many rows
  template <tensor X>
  auto rows_of(X&& x, std::size_t height = 1) const {
    const auto all = view(std::forward<X>(x));
    if (!within(all.samples, height)) refuse("rows", (first + count) * height, all.samples);
    auto part = all;
    part.data += static_cast<std::ptrdiff_t>(first * height) * all.sample_stride, part.samples = count * height;
    return part;
  }

 private:
  bool within(std::size_t there, std::size_t each) const {
    const std::size_t frames = each > 0 ? there / each : count;
    return count <= frames && first <= frames - count;
  }
  template <class X>
  static auto view(X&& x) {
    detail::require_kept<X>(), detail::require_host<X>();
    const auto all = tensor_traits<std::remove_cvref_t<X>>::view(x);
    static_assert(requires { all.data + 1; }, "limbeck: a frame_window is one of float or double");
    return all;
  }
  [[noreturn]] static void refuse(const char* what, std::size_t needed, std::size_t there) {
    raise<shape_error>("limbeck: a frame_window reaches to " + std::string(what) + " " + std::to_string(needed) + " of a tensor of " +
                       std::to_string(there));
  }
};

/// A window of @p count frames of @p frames, its first uniform over the frames - count + 1 that there are.
///
/// @param frames of a sample
/// @param count of the window, at most frames
/// @param stream is not moved on: split it by the step (and the rollout, where each has a window of its own), and the same is drawn after a
///        resume
/// @throws shape_error where @p count is 0 or more than there are
///
/// Self-Forcing++: Towards Minute-Scale High-Quality Video Generation, 2025, arXiv:2510.02283: the window is noised again, and
/// `distribution_matching` of it is the gradient of its frames.
inline frame_window draw_window(random_stream stream, std::size_t frames, std::size_t count) {
  if (count == 0 || count > frames)
    raise<shape_error>("limbeck: draw_window of " + std::to_string(count) + " frames, expected 1 to the " + std::to_string(frames) +
                       " that there are");
  return {stream.below(frames - count + 1), count};
}

LIMBECK_END_NAMESPACE

#endif
