#ifndef LIMBECK_DENSE_PATCHES_HPP
#define LIMBECK_DENSE_PATCHES_HPP

/// @file
/// Which patches of a picture a masked student sees: some of them at random, or as often as the teacher looks at them.

#include <limbeck/core/random.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/dense/grid.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

struct drawn_patch {
  double key;
  std::size_t patch;
  friend bool operator<(const drawn_patch& a, const drawn_patch& b) {
    return a.key < b.key || (a.key == b.key && a.patch < b.patch);
  }
};

/// An exponential race: each patch arrives after a time of mean 1/weight, and the first to arrive are drawn.
template <class Weight, class Kept>
void race(std::size_t patches, const Weight& weight, Kept& kept, random_stream& random, workspace& ws) {
  const auto out = vector_memory(kept);
  static_assert(std::is_integral_v<std::remove_cvref_t<decltype(*out.data)>>,
                "limbeck: the numbers of patches are integers");
  scratch memory(ws);
  const std::span<drawn_patch> all = memory.take<drawn_patch>(patches);
  std::size_t possible = 0;
  for (std::size_t p = 0; p < patches; ++p) {
    const double w = weight(p), time = -std::log(1 - random.uniform());
    if (!(w >= 0 && w <= (std::numeric_limits<double>::max)()))
      raise<value_error>("limbeck: weights is " + show(w) + " at position " + std::to_string(p) +
                         ", expected finite and not negative");
    possible += w > 0;
    // a weight near 0 arrives late, one of 0 never
    all[p] = {w > 0 ? (std::min)(time / w, (std::numeric_limits<double>::max)()) : std::numeric_limits<double>::infinity(), p};
  }
  if (out.size > possible)
    raise<value_error>("limbeck: " + std::to_string(out.size) + " patches are to be drawn of " +
                       std::to_string(possible) + " whose weight is positive");
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(out.size), all.end());
  for (std::size_t i = 0; i < out.size; ++i) put(out, i, all[i].patch);
}

}  // namespace detail

/// Draws patches of one picture without replacement, with chances in the proportion of their @p weights among those
/// that are left: `torch.multinomial(weights, keep)`. The size of @p kept, any vector of integers, says how many; they
/// stand there in the order of the draw. A weight of 0 is never drawn. @p random moves on by one number a patch,
/// whatever is kept. Weights are, for MaskAlign, the attention of the teacher's class token averaged over its heads,
/// and 30 % are kept. O(patches log keep); allocates nothing once @p ws has grown.
/// @throws value_error where a weight is negative or not finite, or fewer than that many are positive.
///
/// Xue et al., Stare at What You See: Masked Image Modeling without Reconstruction (MaskAlign), 2023, arXiv:2211.08887.
template <detail::sized_memory Weights, detail::sized_memory Kept>
void draw_patches(const Weights& weights, random_stream& random, Kept&& kept, workspace& ws) {
  const any_vector w = detail::view_vector(weights);
  detail::race(
      w.size(), [&](std::size_t p) { return w.number(p); }, kept, random, ws);
}
/// The same of @p patches that are alike: a masked autoencoder's random masking, of which DMAE keeps 25 %.
///
/// He et al., Masked Autoencoders Are Scalable Vision Learners, 2022, arXiv:2111.06377; Bai et al., Masked Autoencoders
/// Enable Efficient Knowledge Distillers (DMAE), 2023, arXiv:2208.12256.
template <detail::sized_memory Kept>
void draw_patches(std::size_t patches, random_stream& random, Kept&& kept, workspace& ws) {
  detail::race(
      patches, [](std::size_t) { return 1.0; }, kept, random, ws);
}

LIMBECK_END_NAMESPACE

#endif
