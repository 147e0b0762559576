#ifndef LIMBECK_LOSS_FEATURES_OVERHAUL_HPP
#define LIMBECK_LOSS_FEATURES_OVERHAUL_HPP

/// @file
/// The overhaul of feature distillation: a partial squared distance from the teacher behind a ReLU with margins.

#include <limbeck/loss/features/feature_terms.hpp>

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct partial_distance_term {
  const double* margins;
  std::size_t positions;
  LIMBECK_HOST_DEVICE feature_term<T> operator()(std::size_t c, T s, T t) const {
    const T margin = static_cast<T>(margins[c / positions]), target = t > margin ? t : margin, d = s - target;
    if (target <= T(0) && d <= T(0)) return {T(0), T(0)};  // neither gets through a ReLU
    return {d * d, T(2) * d};
  }
};

}  // namespace detail

/// The mean of a normal number with mean @p centre and deviation |@p deviation|, given that it is negative; -3 |deviation|
/// where hardly any is (a part of 0.001 or less).
inline double mean_if_negative(double centre, double deviation) {
  const double s = std::fabs(deviation);
  if (s == 0) return centre < 0 ? centre : 0;
  const double z = centre / s, negative = 0.5 * std::erfc(z / std::numbers::sqrt2);
  if (!(negative > 0.001)) return -3 * s;
  return centre - s * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi) / negative;
}

/// The margins of `overhaul`, one a channel of the teacher: below it a response is as good as any. Belongs to the caller. With
/// `device_memory` for @p Memory they live on a device, beside the features.
template <class Memory = host_rows>
class channel_margins {
  using place = batch_memory<Memory>;

 public:
  /// From the teacher's batch normalisation before the ReLU: `mean_if_negative(shift[c], scale[c])` of each channel.
  /// @param scale its weights (gamma)
  /// @param shift its biases (beta)
  /// @throws shape_error unless both are as long and not empty; value_error where one is not finite.
  template <class A, class B>
  channel_margins(const A& scale, const B& shift) : margins_(from(scale, shift)) {}
  std::size_t channels() const { return margins_.size(); }  ///< how many
  /// The margin of channel @p c; of one on a device, waits for it.
  double operator[](std::size_t c) const { return margins_[c]; }
  /// @cond
  const double* data() const { return place::address(margins_); }
  /// @endcond

 private:
  using storage = typename place::template storage<double>;
  template <class A, class B>
  static storage from(const A& scale, const B& shift) {
    const std::size_t n = std::size(scale);
    if (n == 0 || std::size(shift) != n)
      raise<shape_error>("limbeck: channel_margins has " + std::to_string(n) + " scales and " +
                         std::to_string(std::size(shift)) + " shifts, expected one of each a channel");
    std::vector<double> margins(n);
    for (std::size_t c = 0; c < n; ++c) {
      const double centre = static_cast<double>(shift[c]), deviation = static_cast<double>(scale[c]);
      if (centre - centre != 0 || deviation - deviation != 0)
        raise<value_error>("limbeck: channel_margins has scale " + detail::show(deviation) + " and shift " + detail::show(centre) +
                           " at channel " + std::to_string(c) + ", expected finite numbers");
      margins[c] = mean_if_negative(centre, deviation);
    }
    return storage(margins.begin(), margins.end());
  }
  storage margins_;
};

/// What `overhaul` returns.
template <class Memory = host_rows>
struct overhaul_loss {
  using limbeck_loss = batchwise;
  using memory = Memory;  ///< of the margins
  static constexpr bool by_row = true, any_width = true;
  const channel_margins<Memory>* margins;  ///< the caller's

  /// @throws shape_error, value_error as `overhaul` says.
  template <class T>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "overhaul");
    const std::size_t n = detail::positions_of(x.teacher.classes, margins->channels(), "teacher");
    return detail::mean_of_feature_terms(x, detail::partial_distance_term<T>{margins->data(), n});
  }
};

/// The mean over samples of the sum over features of (s - u)^2, u = max(t, m_c), where u > 0 or s > u, and of 0 elsewhere; m_c
/// is the margin of the channel.
///
/// Responses are those *before* the ReLU. A row is channels x positions. Where the teacher is negative the student need only
/// be so too: what is below the margin asks for nothing else. The student has the teacher's width: projected at each
/// position, `projected(p, overhaul(m), positions)`, where the authors have a batch normalisation too. Their weight is 1/1000,
/// halved from each layer to the one before it. @p m must outlive the objective.
/// @throws shape_error where the widths differ or m's channels do not divide them; value_error where a feature is not
///   finite.
///
/// Heo, Kim, Yun, Park, Kwak and Choi, A Comprehensive Overhaul of Feature Distillation, 2019, arXiv:1904.01866, and the
/// authors' `distillation_loss`, divided by the samples as there.
template <class Memory>
overhaul_loss<Memory> overhaul(const channel_margins<Memory>& m) {
  return {&m};
}
/// @cond
template <class Memory>
overhaul_loss<Memory> overhaul(const channel_margins<Memory>&&) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
