#ifndef LIMBECK_LOSS_FEATURES_VID_HPP
#define LIMBECK_LOSS_FEATURES_VID_HPP

/// @file
/// Variational information distillation: a Gaussian around the (projected) student, with a learned variance a channel.

#include <limbeck/loss/support.hpp>

#include <array>
#include <cmath>
#include <span>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// log(1 + exp(rho)) + floor.
template <class T>
LIMBECK_HOST_DEVICE double variance_of(T rho, double floor) {
  const double x = static_cast<double>(rho);
  return (x > 0 ? x : 0.0) + std::log1p(std::exp(-std::fabs(x))) + floor;
}

/// Channel @p c of sample @p r: its sum of squares, and the gradients of both sides.
template <class T>
struct channel_distance {
  rows<const T> s, t;
  rows<T> gradient, teacher_gradient;
  std::size_t channels, positions;
  const double* variance;
  double* squares;
  double scale;
  bool by_sample;  // all channels of one, as the host takes them

  template <class Team>
  LIMBECK_HOST_DEVICE void at(const Team& team, std::size_t r, std::size_t c) const {
    const std::size_t n = positions;
    const T *const a = s.row(r) + c * n, *const b = t.row(r) + c * n;
    const double total = sum_own<T, double>(team, n, [&](std::size_t j) {
      const double d = static_cast<double>(a[j]) - static_cast<double>(b[j]);
      return d * d;
    });
    if (team.rank() == 0) squares[r * channels + c] = total;
    const T slope = static_cast<T>(scale / variance[c]);
    if (gradient.data) add(team, gradient, r, c, slope, a, b);
    if (teacher_gradient.data) add(team, teacher_gradient, r, c, slope, b, a);
  }
  template <class Team>
  LIMBECK_HOST_DEVICE void add(const Team& team, const rows<T>& to, std::size_t r, std::size_t c, T slope, const T* own,
                               const T* other) const {
    const std::ptrdiff_t stride = to.class_stride;
    T* const g = to.row(r) + static_cast<std::ptrdiff_t>(c * positions) * stride;
    if (stride == 1) {
      for_own<T>(team, positions, [&](std::size_t j) { g[j] += slope * (own[j] - other[j]); });
    } else {
      for_own<T>(team, positions,
                 [&](std::size_t j) { g[static_cast<std::ptrdiff_t>(j) * stride] += slope * (own[j] - other[j]); });
    }
  }
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    if (!by_sample) return at(team, i / channels, i % channels);
    for (std::size_t c = 0; c < channels; ++c) at(team, i, c);
  }
};
template <class T>
struct take_variances {
  const T* rho;
  double floor;
  double* variance;
  std::size_t channels;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    for_own<double>(team, channels, [&](std::size_t c) { variance[c] = variance_of(rho[c], floor); });
  }
};
/// The part of a channel in the loss, and the slope by its variance, over @p count numbers.
struct channel_likelihood {
  const double *squares, *variance;
  double *values, *slopes;
  std::size_t samples, channels;
  double factor, count;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t c) const {
    const double total = sum_own<double, double>(team, samples, [&](std::size_t r) { return squares[r * channels + c]; });
    const double v = variance[c];
    if (team.rank() != 0) return;
    slopes[c] = 0.5 * factor * (count - total / v) / v;
    values[c] = 0.5 * factor * (total / v + count * std::log(v));
  }
};
/// Adds to the gradient of rho, unless the loss has turned out not to be finite.
template <class T>
struct pull_back_variances {
  const T* rho;
  T* gradient;
  const double *slopes, *loss;
  double scale;
  std::size_t channels;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (*loss - *loss != 0) return;
    for_own<T>(team, channels, [&](std::size_t c) {
      gradient[c] += static_cast<T>(scale * slopes[c] / (1 + std::exp(-static_cast<double>(rho[c]))));
    });
  }
};

}  // namespace detail

/// The variances of `vid`, one a channel: log(1 + exp(rho)) + floor, with rho learned. Belongs to the caller, as a
/// `projection` does: optimise `parameters()` with `gradients()`, and zero these between steps. With `device_memory` for
/// @p Memory they live on a device, beside the features.
template <class T, class Memory = host_rows>
class channel_variances {
  using place = batch_memory<Memory>;
  using storage = typename place::template storage<T>;

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
    place::fill(rho_, static_cast<T>(gap + std::log(-std::expm1(-gap))));
  }
  std::size_t channels() const { return rho_.size(); }  ///< how many
  /// The variance of channel @p c; of one on a device, waits for it.
  double operator[](std::size_t c) const { return detail::variance_of(static_cast<T>(rho_[c]), floor_); }
  /// rho.
  auto parameters() { return std::array{place::view(rho_)}; }
  /// Its gradient.
  auto gradients() { return std::array{place::view(gradients_)}; }
  /// Sets the gradient to 0.
  template <class... Workspace>
  void zero_gradients(const Workspace&... ws) {
    place::clear(gradients_, ws...);
  }
  /// Adds to the gradient of channel @p c that of a loss whose derivative by the variance is @p slope.
  void pull_back(std::size_t c, double slope) {
    gradients_[c] += static_cast<T>(slope / (1 + std::exp(-static_cast<double>(rho_[c]))));
  }
  /// Saves or restores rho.
  template <class Archive>
  void serialize(Archive& archive) {
    place::serialize(archive, "rho", rho_);
  }

  /// @cond
  detail::take_variances<T> taken(double* variance) const { return {place::address(rho_), floor_, variance, channels()}; }
  detail::pull_back_variances<T> pulled_back(const double* slopes, const double* loss, double scale) {
    return {place::address(rho_), place::address(gradients_), slopes, loss, scale, channels()};
  }
  /// @endcond

 private:
  double floor_;
  storage rho_, gradients_;
};

/// What `vid` returns.
template <class T, class Memory = host_rows>
struct vid_loss {
  using limbeck_loss = batchwise;
  using scalar = T;
  using memory = Memory;  ///< of the variances
  static constexpr bool any_width = true, into_teacher = true;
  channel_variances<T, Memory>* variances;  ///< the caller's

  /// The variances.
  template <class F>
  void visit_learned(const F& f) const {
    f(*variances);
  }
  /// @throws shape_error, value_error as `vid` says.
  template <class U>
  batch_number<Memory> operator()(const batch<U, Memory>& x) const {
    static_assert(std::is_same_v<U, T>,
                  "limbeck: the variances of vid have another scalar type than the features; give "
                  "channel_variances<float> float features and channel_variances<double> double");
    if constexpr (std::is_same_v<U, T>) return run(x);
    return 0;
  }

 private:
  batch_number<Memory> run(const batch<T, Memory>& x) const {
    detail::check_widths(x, "vid");
    const std::size_t channels = variances->channels();
    const std::size_t n = detail::positions_of(x.student.classes, channels, "student");
    const std::size_t all = x.samples() * x.student.classes;
    if (all == 0) return 0;
    const rows<const T> s = detail::contiguous(x, x.student), t = detail::contiguous(x, x.teacher);
    const auto take = [&](std::size_t count) { return x.memory.template take<double>(count); };
    double* const variance = take(channels).data();
    x.each_row(1, channels, variances->taken(variance));
    double* const squares = take(x.samples() * channels).data();  // of each sample
    const double factor = 1 / static_cast<double>(all), scale = static_cast<double>(x.scale);
    constexpr bool by_sample = batch<T, Memory>::on_host;
    x.each_row(by_sample ? x.samples() : x.samples() * channels, n,
               detail::channel_distance<T>{s, t, x.gradient, x.teacher_gradient, channels, n, variance, squares, scale * factor, by_sample});
    double* const slopes = take(channels).data();  // by the variance
    const std::span<double> values = take(channels);
    x.each_row(channels, x.samples(),
               detail::channel_likelihood{squares, variance, values.data(), slopes, x.samples(), channels, factor,
                                          static_cast<double>(x.samples() * n)});
    const double* const value = x.add_up(values);
    const batch_number<Memory> result = detail::finite(x, 1, value);
    if (x.wants_gradient() || x.wants_teacher_gradient())
      x.each_row(1, channels, variances->pulled_back(slopes, value, scale));
    return result;
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
template <class T, class Memory>
vid_loss<T, Memory> vid(channel_variances<T, Memory>& v) {
  return {&v};
}
/// @cond
template <class T, class Memory>
vid_loss<T, Memory> vid(const channel_variances<T, Memory>&&) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
