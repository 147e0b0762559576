#ifndef LIMBECK_DIFFUSION_GAUSSIAN_MIXTURE_HPP
#define LIMBECK_DIFFUSION_GAUSSIAN_MIXTURE_HPP

/// @file
/// A mixture of Gaussians: data whose score is known at every level of noise, and so a teacher without an error.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/diffusion/path.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// x ~ sum_k w_k N(m_k, v I). At a level (a, s), x_t = a x + s e has the density sum_k w_k N(a m_k, (a^2 v + s^2) I): its score and
/// its clean mean E[x | x_t] are closed forms. Host only, in double; O(components x dimensions) a row.
class gaussian_mixture {
 public:
  /// @param means components x dimensions, one after the other
  /// @param dimensions at least 1
  /// @param deviation of each component in each dimension, at least 0
  /// @param weights one a component, at least 0, divided by their sum here; empty: equal ones
  /// @throws shape_error where the sizes do not fit, value_error where a number is not one
  gaussian_mixture(std::vector<double> means, std::size_t dimensions, double deviation, std::vector<double> weights = {})
      : means_(std::move(means)), weights_(std::move(weights)), dimensions_(dimensions), deviation_(deviation) {
    if (dimensions == 0 || means_.empty() || means_.size() % dimensions != 0)
      raise<shape_error>("limbeck: means has " + std::to_string(means_.size()) + " elements, expected a positive multiple of the " +
                         std::to_string(dimensions) + " dimensions");
    if (weights_.empty()) weights_.assign(components(), 1);
    if (weights_.size() != components()) detail::throw_length("weights", weights_.size(), components(), "one a component");
    if (!(deviation >= 0 && deviation - deviation == 0))
      raise<value_error>("limbeck: deviation is " + detail::show(deviation) + ", expected a finite number of at least 0");
    for (std::size_t i = 0; i < means_.size(); ++i)
      if (means_[i] - means_[i] != 0)
        raise<value_error>("limbeck: means[" + std::to_string(i) + "] is " + detail::show(means_[i]) + ", expected a finite number");
    double total = 0;
    for (std::size_t k = 0; k < weights_.size(); ++k) {
      if (!(weights_[k] >= 0 && weights_[k] - weights_[k] == 0))
        raise<value_error>("limbeck: weights[" + std::to_string(k) + "] is " + detail::show(weights_[k]) +
                           ", expected a finite number of at least 0");
      total += weights_[k];
    }
    if (!(total > 0)) raise<value_error>("limbeck: weights sum to 0, expected a positive weight");
    for (double& w : weights_) w /= total;
  }

  std::size_t components() const { return means_.size() / dimensions_; }  ///< how many Gaussians
  std::size_t dimensions() const { return dimensions_; }                  ///< of a sample
  /// The mean of a component.
  std::span<const double> mean_of(std::size_t k) const { return std::span(means_).subspan(k * dimensions_, dimensions_); }

  /// log of the density of x_t at a level; @p x has `dimensions()` numbers.
  double log_density(std::span<const double> x, const noise_level& at) const { return look(x, at).log_density; }
  /// The score of that density, to @p out.
  void score(std::span<const double> x, const noise_level& at, std::span<double> out) const {
    const seen s = look(x, at);
    for (std::size_t j = 0; j < dimensions_; ++j) out[j] = (at.signal * s.mean[j] - x[j]) / s.variance;
  }
  /// E[x | x_t], to @p out.
  void clean(std::span<const double> x, const noise_level& at, std::span<double> out) const {
    const seen s = look(x, at);
    const double kept = at.signal * deviation_ * deviation_ / s.variance;
    for (std::size_t j = 0; j < dimensions_; ++j) out[j] = s.mean[j] + kept * (x[j] - at.signal * s.mean[j]);
  }
  /// Samples, to all rows of @p out: row r by the stream's part r.
  template <class T>
  void sample(const random_stream& stream, const rows<T>& out) const {
    if (out.classes != dimensions_) detail::throw_shape("out", out.samples, out.classes, out.samples, dimensions_);
    for (std::size_t r = 0; r < out.samples; ++r) {
      random_stream mine = stream.split(r);
      const std::size_t k = component(mine.uniform());
      for (std::size_t j = 0; j < dimensions_; ++j) out(r, j) = static_cast<T>(mean_of(k)[j] + deviation_ * mine.normal());
    }
  }
  /// The component whose mean is nearest to @p x.
  template <class T>
  std::size_t nearest(std::span<const T> x) const {
    std::size_t best = 0;
    double least = 0;
    for (std::size_t k = 0; k < components(); ++k) {
      double far = 0;
      for (std::size_t j = 0; j < dimensions_; ++j) {
        const double d = static_cast<double>(x[j]) - mean_of(k)[j];
        far += d * d;
      }
      if (k == 0 || far < least) best = k, least = far;
    }
    return best;
  }

 private:
  struct seen {
    double log_density, variance;
    std::vector<double> mean;  // of the components, by what they are responsible for
  };
  seen look(std::span<const double> x, const noise_level& at) const {
    seen s{0, at.signal * at.signal * deviation_ * deviation_ + at.noise * at.noise, std::vector<double>(dimensions_)};
    std::vector<double> log_joint(components());
    double top = -std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < components(); ++k) {
      double far = 0;
      for (std::size_t j = 0; j < dimensions_; ++j) {
        const double d = x[j] - at.signal * mean_of(k)[j];
        far += d * d;
      }
      log_joint[k] = std::log(weights_[k]) - far / (2 * s.variance);
      top = log_joint[k] > top ? log_joint[k] : top;
    }
    double total = 0;
    for (double& l : log_joint) total += l = std::exp(l - top);
    for (std::size_t k = 0; k < components(); ++k)
      for (std::size_t j = 0; j < dimensions_; ++j) s.mean[j] += log_joint[k] / total * mean_of(k)[j];
    s.log_density = top + std::log(total) - 0.5 * static_cast<double>(dimensions_) * std::log(2 * std::numbers::pi * s.variance);
    return s;
  }
  std::size_t component(double u) const {
    std::size_t k = 0;
    while (k + 1 < weights_.size() && u >= weights_[k]) u -= weights_[k++];
    return k;
  }

  std::vector<double> means_, weights_;
  std::size_t dimensions_;
  double deviation_;
};

/// What a mixture's exact model predicts at times on a path: a denoiser, which is a callable of noised rows and of their times that
/// returns predictions, a tensor, until it is called again. Of the noise it says E[e | x_t] = -s score, also where there is none.
/// @param path of the times
/// @param kind of the predictions
/// @param mixture kept by reference
template <class T, noise_path Path, class Kind>
auto exact_denoiser(const gaussian_mixture& mixture, const Path& path, const Kind& kind) {
  return [&mixture, path, kind, out = std::vector<T>(), x = std::vector<double>(), clean = std::vector<double>(), score = std::vector<double>()](
             const rows<const T>& noisy, std::span<const double> times) mutable {
    const std::size_t n = noisy.classes;
    out.resize(noisy.samples * n), x.resize(n), clean.resize(n), score.resize(n);
    for (std::size_t r = 0; r < noisy.samples; ++r) {
      const noise_level at = path.level(times[r]);
      for (std::size_t j = 0; j < n; ++j) x[j] = static_cast<double>(noisy(r, j));
      mixture.clean(x, at, clean), mixture.score(x, at, score);
      const auto form = kind.form(at, path.slope(times[r]));
      for (std::size_t j = 0; j < n; ++j)
        out[r * n + j] = static_cast<T>(form.clean * clean[j] + form.noise * (-at.noise * score[j]));
    }
    return rows<const T>(out.data(), noisy.samples, n);
  };
}

LIMBECK_END_NAMESPACE

#endif
