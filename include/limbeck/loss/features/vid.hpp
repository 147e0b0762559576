#ifndef LIMBECK_LOSS_FEATURES_VID_HPP
#define LIMBECK_LOSS_FEATURES_VID_HPP

/// @file
/// Variational information distillation: a Gaussian around the (projected) student, with a learned variance a channel.

#include <limbeck/loss/support.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The variances of `vid`, one a channel: log(1 + exp(rho)) + floor, with rho learned. Belongs to the caller, as a
/// `projection` does: optimise `parameters()` with `gradients()`, and zero these between steps.
template <class T>
class channel_variances {
 public:
  /// All variances start at @p initial. @throws shape_error where there is no channel; value_error unless initial >
  /// floor > 0.
  explicit channel_variances(std::size_t channels, double initial = 5, double floor = 1e-5)
      : floor_(floor), rho_(channels), gradients_(channels) {
    if (channels == 0) raise<shape_error>("limbeck: channel_variances has 0 channels, expected at least 1");
    if (!(floor > 0) || !(initial > floor) || initial - initial != 0)
      raise<value_error>("limbeck: channel_variances has the initial value " + detail::show(initial) +
                         " and the floor " + detail::show(floor) + ", expected initial > floor > 0");
    const double gap = initial - floor;  // log(exp(gap) - 1)
    std::fill(rho_.begin(), rho_.end(), static_cast<T>(gap + std::log(-std::expm1(-gap))));
  }
  std::size_t channels() const { return rho_.size(); }  ///< how many
  /// The variance of channel @p c.
  double operator[](std::size_t c) const {
    const double rho = static_cast<double>(rho_[c]);
    return (std::max)(rho, 0.0) + std::log1p(std::exp(-std::fabs(rho))) + floor_;
  }
  /// rho.
  std::array<std::span<T>, 1> parameters() { return {rho_}; }
  /// Its gradient.
  std::array<std::span<T>, 1> gradients() { return {gradients_}; }
  /// Sets the gradient to 0.
  void zero_gradients() { std::fill(gradients_.begin(), gradients_.end(), T(0)); }
  /// Adds to the gradient of channel @p c that of a loss whose derivative by the variance is @p slope.
  void pull_back(std::size_t c, double slope) {
    gradients_[c] += static_cast<T>(slope / (1 + std::exp(-static_cast<double>(rho_[c]))));
  }
  /// Saves or restores rho.
  template <class Archive>
  void serialize(Archive& archive) {
    std::span<T> rho(rho_);
    archive("rho", rho);
  }

 private:
  double floor_;
  std::vector<T> rho_, gradients_;
};

/// What `vid` returns.
template <class T>
struct vid_loss {
  using limbeck_loss = batchwise;
  using scalar = T;
  static constexpr bool any_width = true;
  channel_variances<T>* variances;  ///< the caller's

  /// The variances.
  template <class F>
  void visit_learned(const F& f) const {
    f(*variances);
  }
  /// @throws shape_error, value_error as `vid` says.
  template <class U>
  double operator()(const batch<U>& x) const {
    static_assert(std::is_same_v<U, T>,
                  "limbeck: the variances of vid have another scalar type than the features; give "
                  "channel_variances<float> float features and channel_variances<double> double");
    if constexpr (std::is_same_v<U, T>) return run(x);
    return 0;
  }

 private:
  double run(const batch<T>& x) const {
    detail::check_widths(x, "vid");
    const std::size_t channels = variances->channels();
    const std::size_t n = detail::positions_of(x.student.classes, channels, "student");
    const std::size_t all = x.samples() * x.student.classes;
    if (all == 0) return 0;
    const rows<const T> s = detail::contiguous(x, x.student), t = detail::contiguous(x, x.teacher);
    const std::span<double> variance = x.memory.template take<double>(channels);
    for (std::size_t c = 0; c < channels; ++c) variance[c] = (*variances)[c];
    const std::span<double> squares = x.memory.template take<double>(x.samples() * channels);  // of each sample
    const double factor = 1 / static_cast<double>(all), scale = static_cast<double>(x.scale);
    x.on(x.samples(), [&](std::size_t r, std::size_t) {
      for (std::size_t c = 0; c < channels; ++c) {
        const T *a = s.row(r) + c * n, *b = t.row(r) + c * n;
        double total = 0;
        for (std::size_t j = 0; j < n; ++j) {
          const double d = static_cast<double>(a[j]) - static_cast<double>(b[j]);
          total += d * d;
        }
        squares[r * channels + c] = total;
        if (!x.wants_gradient()) continue;
        const T slope = static_cast<T>(scale * factor / variance[c]);
        for (std::size_t j = 0; j < n; ++j) x.gradient(r, c * n + j) += slope * (a[j] - b[j]);
      }
    });
    double value = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      double total = 0;
      for (std::size_t r = 0; r < x.samples(); ++r) total += squares[r * channels + c];
      const double v = variance[c], count = static_cast<double>(x.samples() * n);
      squares[c] = 0.5 * factor * (count - total / v) / v;  // slope by v; the sum that stood there is used
      value += 0.5 * factor * (total / v + count * std::log(v));
    }
    value = detail::finite(x, value);
    if (x.wants_gradient())
      for (std::size_t c = 0; c < channels; ++c) variances->pull_back(c, scale * squares[c]);
    return value;
  }
};

/// The mean over samples and features of 1/2 ((s - t)^2 / v_c + log v_c), v_c the learned variance of the channel.
///
/// A row is channels x positions; student and teacher have one width, so it usually stands in `projected(p, vid(v))`.
/// Not 0 where student and teacher agree: log v pulls the variance down. A call that wants a gradient adds that of @p v
/// to its own, weighted as in the objective. @p v must outlive the objective and have the features' scalar type.
/// @throws shape_error where the widths differ or v's channels do not divide them; value_error where a feature is not
///   finite.
///
/// Ahn et al., Variational Information Distillation for Knowledge Transfer, 2019, arXiv:1904.05835, without its
/// constant; softplus, floor 1e-5 and start 5 as in the code that RepDistiller took over from the authors, whose
/// regressor has three 1x1 convolutions where `projected` has one.
template <class T>
vid_loss<T> vid(channel_variances<T>& v) {
  return {&v};
}
/// @cond
template <class T>
vid_loss<T> vid(const channel_variances<T>&&) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
