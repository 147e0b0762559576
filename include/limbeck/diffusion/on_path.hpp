#ifndef LIMBECK_DIFFUSION_ON_PATH_HPP
#define LIMBECK_DIFFUSION_ON_PATH_HPP

/// @file
/// A denoiser of one path as one of another, without training.

#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/diffusion/time_at.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What `on_path` takes beside paths and denoiser.
struct on_path_options {
  double scale = 1;  ///< samples of the new path are those of the old one times this, positive
};

namespace detail {

/// Coefficients that were computed before, two a row.
struct listed_numbers {
  const team_array<double, 2>* of;
  team_array<double, 2> operator()(std::size_t row, double) const { return of[row]; }
};
/// x times a number of the row.
struct listed_factor {
  const double* of;
  team_array<double, 1> operator()(std::size_t row, double) const { return {{of[row]}}; }
};

}  // namespace detail

/// What `on_path` returns: a denoiser.
template <class T, noise_path From, prediction_kind Kind, class Denoiser, noise_path To, prediction_kind As>
class denoiser_on_path {
 public:
  /// @cond
  denoiser_on_path(const From& from, const Kind& kind, Denoiser&& denoiser, const To& to, const As& as, double scale)
      : from_(from), kind_(kind), denoiser_(std::forward<Denoiser>(denoiser)), to_(to), as_(as), scale_(scale) {}
  /// @endcond
  /// The predictions at @p noisy, samples of the new path at @p times; until the next call.
  rows<const T> operator()(const rows<const T>& noisy, std::span<const double> times) {
    const std::size_t n = noisy.samples;
    if (times.size() != n) detail::throw_length("times", times.size(), n, "one a row");
    times_.resize(n), factors_.resize(n), numbers_.resize(n);
    for (std::size_t r = 0; r < n; ++r) {
      detail::check_time(to_, times[r], "time " + std::to_string(r));
      const noise_level there = to_.level(times[r]), at{there.signal * scale_, there.noise};  // of the old samples
      times_[r] = time_at(from_, at);
      detail::check_time(from_, times_[r], "the time of row " + std::to_string(r) + " on the denoiser's path");
      const noise_level here = from_.level(times_[r]);
      factors_[r] = (here.signal * at.signal + here.noise * at.noise) / (at.signal * at.signal + at.noise * at.noise);
      const prediction_form wanted = as_.form(there, to_.slope(times[r]));
      numbers_[r] =
          detail::by_forms(kind_.form(here, from_.slope(times_[r])), here, {wanted.clean * scale_, wanted.noise});
    }
    scaled_.resize(n * noisy.classes), out_.resize(n * noisy.classes);
    fill(detail::combined("the samples of on_path", detail::listed_factor{factors_.data()}, noisy), rows<T>(scaled_.data(), n, noisy.classes));
    const rows<const T> scaled(scaled_.data(), n, noisy.classes);
    const auto prediction = denoiser_(scaled, std::span<const double>(times_));
    fill(detail::combined("the prediction of a denoiser", detail::listed_numbers{numbers_.data()}, prediction, scaled),
         rows<T>(out_.data(), n, noisy.classes));
    return {out_.data(), n, noisy.classes};
  }

 private:
  From from_;
  Kind kind_;
  Denoiser denoiser_;
  To to_;
  As as_;
  double scale_;
  std::vector<double> times_, factors_;
  std::vector<detail::team_array<double, 2>> numbers_;
  std::vector<T> scaled_, out_;
};

/// A denoiser of the path @p from as one of the path @p to. At time t of the new path it asks the old denoiser at the time of the same
/// signal-to-noise ratio, about the samples times the factor between both levels, where clean sample and noise are the same; what they
/// say it gives as a prediction of the new kind. It is exact: no training, no error but rounding.
///
/// @tparam T float or double, the scalar of samples and predictions, on the host
/// @param from,kind the denoiser's path, and what it predicts
/// @param denoiser a callable of noised rows and their times; an lvalue is referred to, an rvalue owned
/// @param to,as the path and the kind of prediction of what is returned
/// @param options a scale, where the two paths are of data in two units
/// The new denoiser @throws value_error naming the row where a time is none of the new path's, or the old one never has so much noise or
/// so little; value_error where the scale is not positive and finite. Memory for two batches, kept between calls.
template <class T, noise_path From, prediction_kind Kind, class Denoiser, noise_path To, prediction_kind As>
auto on_path(const From& from, const Kind& kind, Denoiser&& denoiser, const To& to, const As& as, const on_path_options& options = {}) {
  if (!(options.scale > 0 && options.scale < 1e300))
    raise<value_error>("limbeck: scale of on_path is " + detail::show(options.scale) + ", expected a finite positive number");
  return denoiser_on_path<T, From, Kind, Denoiser, To, As>(from, kind, std::forward<Denoiser>(denoiser), to, as, options.scale);
}

/// SANA-Sprint's conversion: a flow's velocity, on the rectified path, as TrigFlow's. With s = sin t/(sin t + cos t) and k =
/// 1/sqrt(s^2 + (1 - s)^2) it is d k ((1 - 2 s) y + (1 - 2 s + 2 s^2) v(y, s)) at y = x_t/(d k).
///
/// @param flow a denoiser that predicts the velocity e - x on `rectified`
/// @param deviation d; samples of the trigonometric path are those of the flow times d, as the noise is
/// Returns `on_path` to `trigonometric{deviation}` and `predicts_velocity`, d times TrigFlow's F.
///
/// Chen et al., SANA-Sprint: One-Step Diffusion with Continuous-Time Consistency Distillation, 2025, arXiv:2503.09641.
template <class T, class Flow>
auto trigflow_of(Flow&& flow, double deviation = 1) {
  return on_path<T>(rectified{}, predicts_velocity{}, std::forward<Flow>(flow), trigonometric{deviation}, predicts_velocity{},
                    {.scale = deviation});
}

LIMBECK_END_NAMESPACE

#endif
