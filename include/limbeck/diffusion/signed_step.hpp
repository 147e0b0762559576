#ifndef LIMBECK_DIFFUSION_SIGNED_STEP_HPP
#define LIMBECK_DIFFUSION_SIGNED_STEP_HPP

/// @file
/// A step along signs, within a box.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/target.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// What `signed_step` takes beside its tensors.
struct signed_step_options {
  double step = 1.0 / 255;     ///< how far, negative to go down
  double radius = 16.0 / 255;  ///< the most that an element moves from its origin, at least 0
  double low = 0;              ///< the least that an element may be
  double high = 1;             ///< the most
};

/// One step of projected gradient in the maximum norm: x <- clip(clip(x + step sign(g), origin -+ radius), low, high). The sign of 0
/// is 0; what is clipped is, up to the rounding of its type. As the attack of a diffusion model's encoder: g is the encoder's Jacobian, transposed, times `score_distillation` of its latent.
///
/// @param x the samples, rows x columns of float or double on the host, written in place
/// @param g the gradient by them
/// @param origin what they were before the first step, within [low, high]
/// @param options step, radius and range
/// O(rows x columns). @throws shape_error where shapes differ; value_error where an option is out of its range, or naming the row where a number is
/// NaN; x is as it was then.
///
/// Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018, arXiv:1706.06083; Xue, Liang, Wu and Chen, Toward
/// effective protection against diffusion based mimicry through score distillation (Diff-Protect), 2024, arXiv:2311.12832, whose
/// default goes down.
template <tensor X, tensor G, tensor Origin>
void signed_step(X&& x, const G& g, const Origin& origin, const signed_step_options& options = {}) {
  detail::require_host<X, G, Origin>();
  const auto [step, radius, low, high] = options;
  if (!(step - step == 0)) raise<value_error>("limbeck: step of signed_step is " + detail::show(step) + ", expected a finite number");
  if (!(radius >= 0)) raise<value_error>("limbeck: radius of signed_step is " + detail::show(radius) + ", expected a number of at least 0");
  if (!(low <= high))
    raise<value_error>("limbeck: signed_step has low " + detail::show(low) + " and high " + detail::show(high) + ", expected low at most high");
  using T = typename tensor_traits<std::remove_cvref_t<X>>::scalar;
  const rows<T> to = tensor_traits<std::remove_cvref_t<X>>::view(x);
  const auto by = tensor_traits<G>::view(g);
  const auto from = tensor_traits<Origin>::view(origin);
  const auto check = [&](const char* name, const auto& s) {
    if (s.samples != to.samples || s.classes != to.classes) detail::throw_shape(name, s.samples, s.classes, to.samples, to.classes);
  };
  check("g of signed_step", by), check("origin of signed_step", from);
  const auto nan = [](T v) { return !(v == v); };
  for (std::size_t r = 0; r < to.samples; ++r)
    for (std::size_t c = 0; c < to.classes; ++c)
      if (const char* name = nan(by(r, c)) ? "g" : nan(to(r, c)) ? "x" : nan(from(r, c)) ? "origin" : nullptr)
        raise<value_error>("limbeck: " + std::string(name) + " of signed_step is nan at row " + std::to_string(r) + ", column " + std::to_string(c));
  for (std::size_t r = 0; r < to.samples; ++r)
    for (std::size_t c = 0; c < to.classes; ++c) {
      const double slope = static_cast<double>(by(r, c)), middle = static_cast<double>(from(r, c));
      const double moved = static_cast<double>(to(r, c)) + step * static_cast<double>((slope > 0) - (slope < 0));
      to(r, c) = static_cast<T>(std::clamp(std::clamp(moved, middle - radius, middle + radius), low, high));
    }
}

LIMBECK_END_NAMESPACE

#endif
