#ifndef LIMBECK_DIFFUSION_FEW_STEP_ROLLOUT_HPP
#define LIMBECK_DIFFUSION_FEW_STEP_ROLLOUT_HPP

/// @file
/// Generators of a few steps, of which one is trained at a time.

#include <limbeck/core/random.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/engine/target.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The noise that is put on a clean sample before the next step.
enum class step_noise {
  fresh,  ///< new noise at each step
  fixed,  ///< the first step's, at all of them
  ddim    ///< what the step's input says beside its clean sample: (x - a D)/s
};

/// What `few_step_rollout` takes beside path and kind.
struct few_step_options {
  std::size_t steps = 4;                 ///< K, at least 1
  double start = 1;                      ///< the first time, as a share of the path's last, in (0, 1]; 0.625 for Stable Diffusion
  step_noise noise = step_noise::fresh;  ///< between steps
};

/// The input of step k of K of a generator that gives clean samples D by x_i = a_i D_i + s_i n_i, at t_i = start (1 - i/K): D_0 =
/// 0, D_{i+1} = generator(x_i, t_i).
///
/// k is drawn once a step of training, uniform in 1..K, and all rows take as many: so the samples D_k that are matched with the
/// data are a mixture of those of all K steps. Steps before the k-th are held fixed: no gradient goes through what `run` does,
/// and the student's forward is the k-th step, on what it gives. K = 1 is the one-step generator, k = K always its last step
/// alone. Host only.
///
/// Zhou, Gu and Wang, Few-Step Diffusion via Score identity Distillation, 2025, arXiv:2505.12674, after the authors' code.
template <noise_path Path, prediction_kind Kind>
class few_step_rollout {
 public:
  /// @param options as above
  /// @param path where the noise comes from, with times in equal steps
  /// @param kind what the generator predicts
  /// @throws value_error where there is no step or the start is not in (0, 1]
  few_step_rollout(const Path& path, const Kind& kind, const few_step_options& options = {})
      : path_(path), kind_(kind), options_(options) {
    if (options.steps == 0) raise<value_error>("limbeck: steps of few_step_rollout is 0, expected at least 1");
    if (!(options.start > 0 && options.start <= 1))
      raise<value_error>("limbeck: start of few_step_rollout is " + detail::show(options.start) +
                         ", expected a number in (0, 1]");
  }

  /// k of a step of training, uniform in 1..K: of `random_stream(seed).split(step)`, say.
  std::size_t draw(random_stream stream) const { return 1 + stream.below(options_.steps); }
  /// The time of step @p i of 0..K - 1.
  double time(std::size_t i) const {
    return path_.last() * options_.start * (1 - static_cast<double>(i) / static_cast<double>(options_.steps));
  }

  /// Runs the first @p k - 1 steps: @p x holds the first noise, of the normal distribution, and then the input of step k; returns
  /// that step's times, one a row, until the next call. So `generator(x, times)` is D_k, and `run` for K and that call samples.
  ///
  /// @param generator a denoiser: `generator(noisy, times)` returns predictions, a tensor, that live until it is called again
  /// @param k 1..K
  /// @param noise gives the fresh noise: row r of step i is that of `noise.split(i).split(first + r)`, so that it does not depend
  /// on
  ///        the parts that a batch comes in
  /// @param x samples x dimensions, a tensor on the host
  /// @param first the place of x's first row in the batch
  /// O(k samples x dimensions) beside the generator's calls. @throws value_error where k is out of range, or the first step's
  /// prediction does not say what is clean (of noise, at a signal of 0); shape_error where the
  /// generator's
  ///   predictions are of another shape.
  template <class Generator, tensor X>
  std::span<const double> run(Generator&& generator, std::size_t k, const random_stream& noise, X&& x, std::size_t first = 0) {
    detail::require_host<X>();
    using T = typename tensor_traits<std::remove_cvref_t<X>>::scalar;
    const rows<T> to = tensor_traits<std::remove_cvref_t<X>>::view(x);
    if (k == 0 || k > options_.steps)
      raise<value_error>("limbeck: k of few_step_rollout is " + std::to_string(k) + ", expected 1 to " +
                         std::to_string(options_.steps));
    times_.assign(to.samples, time(0));
    noise_level at = path_.level(time(0));
    if (options_.noise == step_noise::fixed) fixed_.resize(to.samples * to.classes);
    if (const auto clean = clean_at(0); k > 1 && !(clean.v[0] - clean.v[0] == 0 && clean.v[1] - clean.v[1] == 0))
      raise<value_error>("limbeck: the first step of few_step_rollout is at time " + detail::show(time(0)) +
                         ", where its kind of prediction says nothing of the clean sample; let it start below 1");
    for (std::size_t r = 0; r < to.samples; ++r)
      for (std::size_t c = 0; c < to.classes; ++c) {
        if (options_.noise == step_noise::fixed) fixed_[r * to.classes + c] = static_cast<double>(to(r, c));
        to(r, c) = static_cast<T>(at.noise * static_cast<double>(to(r, c)));
      }
    for (std::size_t i = 1; i < k; ++i) {
      const auto& given = generator(rows<const T>(to), std::span<const double>(times_));
      step(tensor_traits<std::remove_cvref_t<decltype(given)>>::view(given), i, noise.split(i), to, first);
    }
    return times_;
  }

 private:
  /// What makes a clean sample of the prediction and the input of a step.
  auto clean_at(std::size_t i) const {
    const noise_level at = path_.level(time(i));
    return detail::by_forms(kind_.form(at, path_.slope(time(i))), at, {1, 0});
  }
  template <class P, class T>
  void step(const P& prediction, std::size_t i, const random_stream& noise, const rows<T>& x, std::size_t first) {
    if (prediction.samples != x.samples || prediction.classes != x.classes)
      detail::throw_shape("a prediction of the generator", prediction.samples, prediction.classes, x.samples, x.classes);
    const noise_level at = path_.level(time(i - 1)), to = path_.level(time(i));
    const auto clean = clean_at(i - 1);
    for (std::size_t r = 0; r < x.samples; ++r) {
      random_stream fresh = noise.split(first + r);
      for (std::size_t c = 0; c < x.classes; ++c) {
        const double was = static_cast<double>(x(r, c));
        const double d = clean.v[0] * static_cast<double>(prediction(r, c)) + clean.v[1] * was;
        const double n = options_.noise == step_noise::fresh   ? fresh.normal()
                         : options_.noise == step_noise::fixed ? fixed_[r * x.classes + c]
                                                               : (was - at.signal * d) / at.noise;
        x(r, c) = static_cast<T>(to.signal * d + to.noise * n);
      }
    }
    times_.assign(x.samples, time(i));
  }

  Path path_;
  Kind kind_;
  few_step_options options_;
  std::vector<double> times_, fixed_;
};

LIMBECK_END_NAMESPACE

#endif
