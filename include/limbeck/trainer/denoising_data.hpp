#ifndef LIMBECK_TRAINER_DENOISING_DATA_HPP
#define LIMBECK_TRAINER_DENOISING_DATA_HPP

/// @file
/// Noised samples as data for the trainer: what a denoiser is trained on.

#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/target/fill.hpp>
#include <limbeck/trainer/noise_data.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Noised samples, and what they were.
template <class T>
struct denoising_batch {
  sample_batch<T> inputs{};  ///< x_t, times and conditions, for the denoiser
  std::vector<T> clean{};    ///< x, as `inputs`
  std::vector<T> noise{};    ///< e, as `inputs`
  /// x, a view: of a batch that is kept. What a denoiser of `predicts_clean` learns.
  limbeck::rows<const T> clean_rows() const { return {clean.data(), inputs.size(), inputs.dimensions}; }
  /// e, the same. What one of `predicts_noise` learns.
  limbeck::rows<const T> noise_rows() const { return {noise.data(), inputs.size(), inputs.dimensions}; }
};

/// A data source of x_t = signal(t) x + noise(t) e, of samples x that a generator makes of noise: the data of the score of its samples
/// (the fake score of DMD). A trainer's teacher beside it is `[](lk::denoising_batch<T>& b) { return b.clean_rows(); }`, its objective
/// `mse{}` or `feature_mse{}`; for another kind of prediction it gives `converted(predicts_clean{}, kind, ...)`.
///
/// Stop-gradients: the samples are held fixed, nothing goes back into the generator.
/// @tparam Noise a `noise_data` with times, referred to where it is an lvalue; draws are as reproducible as its own
/// @tparam Generate a callable of a `const sample_batch<T>&` (z and conditions) that gives samples on the host, a tensor of z's shape. It may
///   also look up samples of a data set.
/// Throws shape_error where the samples have another shape, value_error where a time is not one of the path's.
///
/// Yin et al., One-step Diffusion with Distribution Matching Distillation, 2023, arXiv:2311.18828, eq. 6.
template <class T, class Noise, class Generate, noise_path Path>
class denoising_data {
 public:
  /// @cond
  denoising_data(Noise&& noise, Generate&& generate, const Path& path)
      : noise_(std::forward<Noise>(noise)), generate_(std::forward<Generate>(generate)), path_(path) {}
  std::size_t size() const { return noise_.size(); }
  void prepare(std::span<const std::size_t> rows, const draw_request& request) { noise_.prepare(rows, request); }
  denoising_batch<T> batch(std::span<const std::size_t> rows) {
    noise_batch<T> drawn = noise_.batch(rows);
    auto&& samples = generate_(std::as_const(drawn.inputs));
    const auto x = tensor_traits<std::remove_cvref_t<decltype(samples)>>::view(samples);
    const std::size_t n = drawn.inputs.size(), dimensions = drawn.inputs.dimensions;
    if (x.samples != n || x.classes != dimensions) detail::throw_shape("the samples of denoising_data", x.samples, x.classes, n, dimensions);
    denoising_batch<T> b;
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t j = 0; j < dimensions; ++j) b.clean.push_back(x(r, j));
    b.noise = std::move(drawn.noise);
    b.inputs = std::move(drawn.inputs);
    b.inputs.times = std::move(drawn.times);
    fill(noised(b.clean_rows(), b.noise_rows(), levels(path_, b.inputs.times)), limbeck::rows<T>(b.inputs.values.data(), n, dimensions));
    return b;
  }
  std::string describe() const { return "denoising_data of " + detail::described(noise_) + ", path " + detail::described(path_); }
  /// @endcond

 private:
  Noise noise_;
  Generate generate_;
  Path path_;
};

/// Of what `generate` makes of @p noise, on @p path.
template <class Noise, class Generate, noise_path Path>
auto denoised_samples(Noise&& noise, Generate&& generate, const Path& path) {
  static_assert(requires { noise.batch({}).times; },
                "limbeck: denoised_samples noises samples by the times and the noise that are drawn, and this noise has none: make it by "
                "noise_with_times");
  using T = typename decltype(noise.batch({}).inputs.values)::value_type;
  return denoising_data<T, Noise, Generate, Path>(std::forward<Noise>(noise), std::forward<Generate>(generate), path);
}

LIMBECK_END_NAMESPACE

#endif
