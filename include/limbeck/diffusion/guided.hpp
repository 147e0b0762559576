#ifndef LIMBECK_DIFFUSION_GUIDED_HPP
#define LIMBECK_DIFFUSION_GUIDED_HPP

/// @file
/// Guidance: predictions moved from what a model says without its condition towards, and past, what it says with it.

#include <limbeck/core/number.hpp>
#include <limbeck/diffusion/prediction.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The times in which there is guidance: low < t <= high.
struct guidance_interval {
  double low = 0;   ///< times up to it are not guided
  double high = 1;  ///< nor those above it
  /// Whether a time is in it.
  LIMBECK_HOST_DEVICE constexpr bool holds(double t) const { return low < t && t <= high; }
};

namespace detail {

/// A scale of all rows, by progress.
template <schedule S>
struct scale_by_progress {
  S scale;
  LIMBECK_CALLS_ANY
  LIMBECK_HOST_DEVICE double operator()(std::size_t, double at) const { return scale(at); }
  auto settled(double at) const { return scale_by_progress<constant>{constant(scale(at))}; }
};
/// One a row.
struct scale_by_row {
  any_vector scales;
  LIMBECK_HOST_DEVICE double operator()(std::size_t row, double) const { return scales.number(row); }
};
/// (w, 1 - w); with @p more 1, (1 + w, -w).
template <class Scale>
struct guidance {
  Scale scale;
  double more;
  LIMBECK_CALLS_ANY
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double at) const {
    const double w = scale(row, at) + more;
    return {{w, 1 - w}};
  }
  auto settled(double at) const { return guidance<settled_t<Scale>>{detail::settled(scale, at), more}; }
};
/// The same within an interval, (1, 0) outside of it.
template <class Scale, class Levels>
struct guidance_within {
  guidance<Scale> inside;
  guidance_interval interval;
  Levels at;
  LIMBECK_CALLS_ANY
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double progress_) const {
    if (!interval.holds(at.time_of(row))) return {{1.0, 0.0}};
    return inside(row, progress_);
  }
  auto settled(double at_) const {
    const auto s = inside.settled(at_);
    return within(s);
  }

 private:
  template <class S>
  auto within(const guidance<S>& s) const {
    return guidance_within<S, Levels>{s, interval, at};
  }
};

/// A number, a schedule or a vector as a scale.
template <class W>
auto as_scale(const char* who, W&& w) {
  using Bare = std::remove_cvref_t<W>;
  if constexpr (number<Bare>) {
    const auto s = as_schedule(w);
    check_constant((std::string("w of ") + who).c_str(), s, -1e300, 1e300, "a finite number");
    return scale_by_progress<std::remove_const_t<decltype(s)>>{s};
  } else {
    static_assert(std::is_floating_point_v<vector_element_t<Bare>>,
                  "limbeck: a scale of guidance is a number, a schedule, or a vector of float or double, one a row");
    require_kept<W>();
    return scale_by_row{view_vector(w)};
  }
}
template <class W, class Formula>
Formula checked_scale(const W& w, const Formula& f) {
  if constexpr (!number<W>) {
    static_assert(std::is_same_v<vector_memory_t<W>, typename Formula::memory>,
                  "limbeck: the scales of guidance live in another memory (host or device) than the predictions");
    const any_vector scales = view_vector(w);
    if (scales.size() != f.samples()) throw_length("w", scales.size(), f.samples());
  }
  return f;
}

}  // namespace detail

/// Classifier-free guidance: u + w (c - u), of predictions of any one kind. w = 1 is the conditional model, 0 the unconditional one.
///
/// @param c what the model predicts with its condition, samples x dimensions
/// @param u and without it, or with a negative one
/// @param w a number, a schedule, or a vector of float or double, one a row, kept by view
/// A target, held fixed as every one: give it to a call in the place of a teacher, or write it by `fill`. A row whose w is not finite is a
/// fault where it is read. O(samples x dimensions). @throws shape_error where shapes differ or there is not one w a row.
///
/// Ho and Salimans, Classifier-Free Diffusion Guidance, 2022, arXiv:2207.12598, in the convention of Imagen and Stable Diffusion; theirs
/// is `guided_from_conditional`. A scale that is drawn anew for each row, by `draw_times(uniform_times{...}, ...)`, and given to both of
/// the scores of distribution matching, is the random guidance of SNOOPI (Nguyen et al., 2024, arXiv:2412.02687); its attention to negative
/// prompts is a part of the network.
template <class C, class U, class W>
auto guided(C&& c, U&& u, W&& w) {
  const auto scale = detail::as_scale("guided", std::forward<W>(w));
  return detail::checked_scale(w, detail::combined("the unconditional prediction of guided",
                                                   detail::guidance<std::remove_const_t<decltype(scale)>>{scale, 0}, std::forward<C>(c),
                                                   std::forward<U>(u)));
}
/// The same where a row's time lies in an interval; outside of it the prediction is c.
///
/// @param c,u,w as in the other `guided`
/// @param at the levels of the rows
/// @param interval of their times
/// Kynkaanniemi et al., Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion Models, 2024,
/// arXiv:2404.07724.
template <class C, class U, class W, row_levels L>
auto guided(C&& c, U&& u, W&& w, const L& at, const guidance_interval& interval) {
  const auto scale = detail::as_scale("guided", std::forward<W>(w));
  using Scale = std::remove_const_t<decltype(scale)>;
  return detail::checked_levels(
      at, detail::checked_scale(w, detail::combined("the unconditional prediction of guided",
                                                    detail::guidance_within<Scale, L>{{scale, 0}, interval, at}, std::forward<C>(c),
                                                    std::forward<U>(u))));
}
/// c + w (c - u), the convention of Ho and Salimans' paper: w = 0 is the conditional model, and w here is w + 1 there, in `guided`.
/// Parameters and errors as `guided`.
template <class C, class U, class W>
auto guided_from_conditional(C&& c, U&& u, W&& w) {
  const auto scale = detail::as_scale("guided_from_conditional", std::forward<W>(w));
  return detail::checked_scale(w, detail::combined("the unconditional prediction of guided_from_conditional",
                                                   detail::guidance<std::remove_const_t<decltype(scale)>>{scale, 1}, std::forward<C>(c),
                                                   std::forward<U>(u)));
}

/// What `guided_denoiser` takes beside the two models.
struct guided_denoiser_options {
  double scale = 1;                      ///< w, finite
  guidance_interval interval{0, 1e300};  ///< of times; outside of it the unconditional model is not asked
};
/// What `guided_denoiser` returns: a denoiser.
template <class T, class Conditional, class Unconditional>
class denoiser_with_guidance {
 public:
  /// @cond
  denoiser_with_guidance(Conditional&& c, Unconditional&& u, const guided_denoiser_options& options)
      : conditional_(std::forward<Conditional>(c)), unconditional_(std::forward<Unconditional>(u)), options_(options) {}
  /// @endcond
  /// The guided predictions at @p noisy, until the next call.
  rows<const T> operator()(const rows<const T>& noisy, std::span<const double> times) {
    const std::size_t n = noisy.samples, count = n * noisy.classes;
    bool any = false;
    scales_.resize(n), out_.resize(count);
    for (std::size_t r = 0; r < n; ++r) {
      const bool inside = options_.interval.holds(times[r]);
      scales_[r] = inside ? options_.scale : 1.0, any = any || inside;
    }
    const rows<T> out(out_.data(), n, noisy.classes);
    {
      const auto c = conditional_(noisy, times);
      fill(detail::as_target(c), out);
    }
    if (any && options_.scale != 1) {
      kept_ = out_;  // both may be one network, whose answer the second call overwrites
      const rows<const T> c(kept_.data(), n, noisy.classes);
      const auto u = unconditional_(noisy, times);
      fill(guided(c, u, scales_), out);
    }
    return out;
  }

 private:
  Conditional conditional_;
  Unconditional unconditional_;
  guided_denoiser_options options_;
  std::vector<double> scales_;
  std::vector<T> out_, kept_;
};

/// A denoiser of two: `guided` of what they predict.
///
/// @tparam T float or double, on the host
/// @param c,u denoisers with and without the condition; an lvalue is referred to, an rvalue owned. They may share a network.
/// @param options w and the times of guidance
/// @throws value_error where the scale is not finite. Memory for two batches, kept between calls.
template <class T, class Conditional, class Unconditional>
auto guided_denoiser(Conditional&& c, Unconditional&& u, const guided_denoiser_options& options) {
  if (options.scale - options.scale != 0)
    raise<value_error>("limbeck: scale of guided_denoiser is " + detail::show(options.scale) + ", expected a finite number");
  return denoiser_with_guidance<T, Conditional, Unconditional>(std::forward<Conditional>(c), std::forward<Unconditional>(u), options);
}

LIMBECK_END_NAMESPACE

#endif
