#ifndef LIMBECK_DIFFUSION_DRAW_NOISE_HPP
#define LIMBECK_DIFFUSION_DRAW_NOISE_HPP

/// @file
/// Noise of the normal distribution that a seed says.

#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/target.hpp>

#include <cstddef>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// Fills a tensor on the host with numbers of the normal distribution, mean 0 and variance 1: row r by `stream.split(first + r)`, so
/// that a row's noise depends on its place in the whole batch and not on the parts that the batch is drawn in.
///
/// @param stream is not moved on: split it by what distinguishes the draws, a step of training or of a sampler
/// @param out samples x dimensions; @param first the place of its first row in the batch
/// O(samples x dimensions), two numbers of the stream an element.
template <tensor Out>
void draw_noise(const random_stream& stream, Out&& out, std::size_t first = 0) {
  detail::require_host<Out>();
  using Traits = tensor_traits<std::remove_cvref_t<Out>>;
  const rows<typename Traits::scalar> to = Traits::view(out);
  for (std::size_t r = 0; r < to.samples; ++r) {
    random_stream mine = stream.split(first + r);
    for (std::size_t c = 0; c < to.classes; ++c) to(r, c) = static_cast<typename Traits::scalar>(mine.normal());
  }
}

LIMBECK_END_NAMESPACE

#endif
