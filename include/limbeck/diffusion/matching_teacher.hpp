#ifndef LIMBECK_DIFFUSION_MATCHING_TEACHER_HPP
#define LIMBECK_DIFFUSION_MATCHING_TEACHER_HPP

/// @file
/// Distribution matching as a teacher for the trainer.

#include <limbeck/core/describe.hpp>
#include <limbeck/diffusion/distribution_matching.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/target/fill.hpp>

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A teacher that answers a generator's samples x with the gradient of distribution matching: x is noised by the batch's draws, both
/// denoisers say what was clean, and `distribution_matching(x, real, fake)` is what `specified_gradient{}` reads.
///
///     lk::trainer{generator, lk::matching_teacher(path, real, fake), lk::specified_gradient{}, optimizer}
///
/// Stop-gradients: x, both denoisers and the noised samples are held fixed, so that the gradient by x is (fake - real)/mean |x - real|.
/// The batch has `times` and `noise_rows()`, as that of `noise_data` with times. Of the conditions of the batch, a denoiser that is called
/// with (noisy, times, conditions) gets `batch.inputs.conditions`; one of (noisy, times) has them inside. Samples on the host.
///
/// Yin et al., One-step Diffusion with Distribution Matching Distillation, 2023, arXiv:2311.18828, and DMD2, 2024, arXiv:2405.14867.
/// @tparam Real,Fake denoisers; lvalues are referred to
/// @tparam Kind what both predict
template <class Real, class Fake, noise_path Path, prediction_kind Kind = predicts_clean>
class matching_teacher {
 public:
  /// @param path from samples to noise
  /// @param real the denoiser of the data
  /// @param fake that of the generator's samples
  /// @param kind of their predictions
  /// @param options of `distribution_matching`
  matching_teacher(const Path& path, Real&& real, Fake&& fake, const Kind& kind = {}, const distribution_matching_options& options = {})
      : path_(path), real_(std::forward<Real>(real)), fake_(std::forward<Fake>(fake)), kind_(kind), options_(options) {}
  /// The gradient, a formula that views x and @p batch.
  template <class Batch, class X>
    requires requires(Batch& b) { b.noise_rows(); b.times; }
  auto answer(Batch& batch, const X& x) {
    using T = typename tensor_traits<X>::scalar;
    const auto at = levels(path_, batch.times);
    const auto view = tensor_traits<X>::view(x);
    auto& noisy = memory<T>();
    noisy.resize(view.samples * view.classes);
    const rows<const T> noised_x(noisy.data(), view.samples, view.classes);
    fill(noised(x, batch.noise_rows(), at), rows<T>(noisy.data(), view.samples, view.classes));
    return distribution_matching(x, to_clean(kind_, ask(real_, noised_x, batch), noised_x, at),
                                 to_clean(kind_, ask(fake_, noised_x, batch), noised_x, at), options_);
  }

  /// @cond
  std::string describe() const {
    return "matching_teacher on " + detail::described(path_) + " of " + detail::described(kind_) + ", floor " + detail::show(options_.floor);
  }
  /// @endcond

 private:
  template <class Denoiser, class T, class Batch>
  static decltype(auto) ask(Denoiser& d, const rows<const T>& noisy, Batch& batch) {
    const std::span<const double> times(batch.times);
    if constexpr (requires { d(noisy, times, std::span<const int>(batch.inputs.conditions)); }) {
      return d(noisy, times, std::span<const int>(batch.inputs.conditions));
    } else {
      return d(noisy, times);
    }
  }
  template <class T>
  auto& memory() {
    if constexpr (std::is_same_v<T, float>) {
      return floats_;
    } else {
      return doubles_;
    }
  }
  Path path_;
  Real real_;
  Fake fake_;
  Kind kind_;
  distribution_matching_options options_;
  std::vector<float> floats_;
  std::vector<double> doubles_;
};
/// @cond
template <class Path, class Real, class Fake>
matching_teacher(const Path&, Real&&, Fake&&) -> matching_teacher<Real, Fake, Path>;
template <class Path, class Real, class Fake, class Kind>
matching_teacher(const Path&, Real&&, Fake&&, const Kind&) -> matching_teacher<Real, Fake, Path, Kind>;
template <class Path, class Real, class Fake, class Kind>
matching_teacher(const Path&, Real&&, Fake&&, const Kind&, const distribution_matching_options&) -> matching_teacher<Real, Fake, Path, Kind>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
