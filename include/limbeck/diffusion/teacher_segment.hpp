#ifndef LIMBECK_DIFFUSION_TEACHER_SEGMENT_HPP
#define LIMBECK_DIFFUSION_TEACHER_SEGMENT_HPP

/// @file
/// A piece of a teacher's path: what the pairs of consistency distillation, the two steps of progressive distillation and the
/// reflections of samplers are made of.

#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/steps.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What a segment is walked with.
struct segment_options {
  std::size_t steps = 1;  ///< of DDIM, at least 1; each row's time is divided equally
  double eta = 0;         ///< how much of the noise is new at each step, at least 0: 0 walks the ODE
};

/// Walks noised samples from one time to another by a teacher's predictions: `segment(teacher, x_t, t, s)` is x^_s.
///
/// Holds the memory of the samples between. Host only. No gradient goes through it: what it gives is held fixed.
///
/// One step with eta 0 is the pair of consistency distillation by DDIM (LCM: s = t - k of its own steps; a guided teacher is guided
/// inside of the denoiser); several with eta are the stochastic segment of SCott.
///
/// Song et al., Consistency Models, 2023, arXiv:2303.01469; Luo et al., Latent Consistency Models, 2023, arXiv:2310.04378; Liu et
/// al., SCott: Accelerating Diffusion Models with Stochastic Consistency Distillation, 2024, arXiv:2403.01505, whose paper was not
/// read: two summaries agree on three steps of an SDE solver.
template <class T, noise_path Path, prediction_kind Kind>
class teacher_segment {
 public:
  /// @param options as above
  /// @param path of the times; @param kind of the predictions
  /// @throws value_error where there is no step, or eta is negative or not finite
  teacher_segment(const Path& path, const Kind& kind, const segment_options& options = {}) : path_(path), kind_(kind), options_(options) {
    if (options.steps == 0) raise<value_error>("limbeck: steps of teacher_segment is 0, expected at least 1");
    if (!(options.eta >= 0 && options.eta - options.eta == 0))
      raise<value_error>("limbeck: eta of teacher_segment is " + detail::show(options.eta) + ", expected a finite number of at least 0");
  }

  /// The samples at @p to, until the next call.
  /// @param teacher a denoiser: `d(noisy, times)` gives predictions, a tensor
  /// @param noisy samples x dimensions, not what an earlier call of this segment gave
  /// @param from,to the times of each row; with eta above 0, none of @p to is later
  /// @param stream for the noise of eta, split by step, then by row: another one in every call
  /// @param first the place of the first row in the batch, see `draw_noise`
  /// steps calls of the teacher. @throws shape_error where there is not one time a row; value_error naming the row where a time is not on
  /// the path, or with eta above 0 one of @p to is later. Then the teacher was not asked.
  template <class Denoiser, class From, class To>
  rows<const T> operator()(Denoiser&& teacher, const rows<const T>& noisy, const From& from, const To& to, const random_stream& stream,
                           std::size_t first = 0) {
    const std::size_t n = noisy.samples, count = n * noisy.classes;
    if (from.size() != n) detail::throw_length("from", from.size(), n);
    if (to.size() != n) detail::throw_length("to", to.size(), n);
    now_.resize(n), next_.resize(n), x_.resize(count), y_.resize(count), z_.resize(options_.eta > 0 ? count : 0);
    (void)levels(path_, from), (void)levels(path_, to);  // refused before the teacher is asked
    for (std::size_t r = 0; options_.eta > 0 && r < n; ++r)
      if (to[r] > from[r])
        raise<value_error>("limbeck: to is " + detail::show(static_cast<double>(to[r])) + " at row " + std::to_string(r) +
                           ", expected at most " + detail::show(static_cast<double>(from[r])) + ", its `from`: eta is above 0");
    const rows<T> noise(z_.data(), n, noisy.classes);
    rows<const T> here = noisy;
    for (std::size_t k = 0; k < options_.steps; ++k) {
      for (std::size_t r = 0; r < n; ++r) now_[r] = between(from[r], to[r], k), next_[r] = between(from[r], to[r], k + 1);
      const auto at = levels(path_, now_), there = levels(path_, next_);
      auto&& prediction = teacher(here, std::span<const double>(now_));
      const rows<T> out(k % 2 == 0 ? y_.data() : x_.data(), n, noisy.classes);
      if (options_.eta > 0) {
        draw_noise(stream.split(k), noise, first);
        fill(ddim(kind_, prediction, here, at, there, noise, {.eta = options_.eta}), out);
      } else {
        fill(ddim(kind_, prediction, here, at, there), out);
      }
      here = {out.data, n, noisy.classes};
    }
    return here;
  }
  /// The same along the ODE, which takes no noise. @throws value_error where eta is above 0; else as above.
  template <class Denoiser, class From, class To>
  rows<const T> operator()(Denoiser&& teacher, const rows<const T>& noisy, const From& from, const To& to) {
    if (options_.eta > 0)
      raise<value_error>("limbeck: eta of teacher_segment is " + detail::show(options_.eta) +
                         ", expected 0 in a call without a random_stream");
    return (*this)(std::forward<Denoiser>(teacher), noisy, from, to, random_stream());
  }

 private:
  double between(double from, double to, std::size_t k) const {
    if (k == options_.steps) return to;
    return from + (to - from) * (static_cast<double>(k) / static_cast<double>(options_.steps));
  }
  Path path_;
  Kind kind_;
  segment_options options_;
  std::vector<double> now_, next_;
  std::vector<T> x_, y_, z_;
};

/// `teacher_segment`, of samples of type T.
template <class T, noise_path Path, prediction_kind Kind>
teacher_segment<T, Path, Kind> segment_of(const Path& path, const Kind& kind, const segment_options& options = {}) {
  return {path, kind, options};
}

LIMBECK_END_NAMESPACE

#endif
