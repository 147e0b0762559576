#ifndef LIMBECK_AVERAGING_DECAY_HPP
#define LIMBECK_AVERAGING_DECAY_HPP

/// @file
/// Decays: how much of itself a teacher keeps in an update, teacher <- d teacher + (1 - d) student.
///
/// A decay is a number (a constant or a schedule of progress, `linear(0.999, 0.9999)`, say), or a
/// rule that counts updates: a regular value with `using limbeck_decay = void;` and `double operator()(std::uint64_t n)
/// const`, the decay of update n, the first being 1. A rule has no state; the averager counts.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/number.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// A decay that counts updates, from 1.
template <class D>
concept counted_decay = requires(const D& d, std::uint64_t n) {
  typename D::limbeck_decay;
  { d(n) } -> std::convertible_to<double>;
};

/// A number or a counted_decay.
template <class D>
concept decay_rule = number<D> || counted_decay<std::remove_cvref_t<D>>;

namespace detail {
inline double require_decay(double d, const char* what) {
  if (!(d >= 0 && d <= 1))
    raise<value_error>(std::string("limbeck: ") + what + " is " + show(d) + ", expected a number in [0, 1]");
  return d;
}
}  // namespace detail

/// The same d always: the exponential moving average. Over 1/(1 - d) updates, roughly.
struct ema {
  using limbeck_decay = void;
  double decay = 0.999;  ///< d, in [0, 1]
  /// @throws value_error where the decay is not in [0, 1].
  double operator()(std::uint64_t) const { return detail::require_decay(decay, "ema::decay"); }
};

/// 0: the teacher is a copy. For buffers that must not be averaged (counters, integers, batch-norm statistics that
/// follow the student).
struct copied {
  using limbeck_decay = void;
  constexpr double operator()(std::uint64_t) const { return 0; }
};

/// min(1 - 1/(n + 1), decay): the plain mean of the first iterates, the teacher's own start among them, until the
/// exponential average is longer than that.
///
/// Tarvainen and Valpola, Mean Teacher, 2017, arXiv:1703.01780: the rule is in the authors' PyTorch code
/// (`update_ema_variables`, whose counter is 1 at the first update). The paper instead takes 0.99 during the ramp-up
/// and 0.999 after it: that is `step({{0, 0.99}, {0.2, 0.999}})` where the ramp-up takes a fifth of the run.
struct mean_teacher {
  using limbeck_decay = void;
  double decay = 0.999;  ///< the largest, in [0, 1]
  /// @throws value_error where the decay is not in [0, 1].
  double operator()(std::uint64_t n) const {
    detail::require_decay(decay, "mean_teacher::decay");
    return (std::min)(1 - 1 / (static_cast<double>(n) + 1), decay);
  }
};

/// min(decay, (1 + k)/(10 + k)) after k = n - 1 updates: 0.1 at first, 0.99 after 890.
///
/// TensorFlow's `ExponentialMovingAverage` with `num_updates`, and Marian's exponential smoothing.
struct warm_up_ema {
  using limbeck_decay = void;
  double decay = 0.999;  ///< the largest, in [0, 1]
  /// @throws value_error where the decay is not in [0, 1].
  double operator()(std::uint64_t n) const {
    detail::require_decay(decay, "warm_up_ema::decay");
    return (std::min)(decay, static_cast<double>(n) / (static_cast<double>(n) + 9));
  }
};

/// min(decay, 1 - (1 + k/inv_gamma)^-power) after k = n - 1 updates: a copy at first; the running mean where both
/// are 1.
///
/// timm's `ModelEmaV3` with `use_warmup`, after Katherine Crowson: power 2/3 reaches 0.999 after 31,600 updates and
/// 0.9999 after a million, 3/4 after 10,000 and 215,400.
struct power_warm_up_ema {
  using limbeck_decay = void;
  double decay = 0.9999;   ///< the largest, in [0, 1]
  double inv_gamma = 1;    ///< positive
  double power = 2.0 / 3;  ///< positive
  /// @throws value_error where the decay is not in [0, 1], or another number not positive.
  double operator()(std::uint64_t n) const {
    detail::require_decay(decay, "power_warm_up_ema::decay");
    if (!(inv_gamma > 0 && power > 0))
      raise<value_error>("limbeck: power_warm_up_ema has inv_gamma " + detail::show(inv_gamma) + " and power " +
                         detail::show(power) + ", expected positive numbers");
    return (std::min)(decay, 1 - std::pow(1 + static_cast<double>(n - 1) / inv_gamma, -power));
  }
};

/// The exponential moving average that starts from nothing and is divided by its weight 1 - d^n, as in Adam (Kingma and
/// Ba, 2015, arXiv:1412.6980). Kept corrected, it is a decay of its own: d (1 - d^(n-1)) / (1 - d^n), 0
/// at first, so the teacher's start has no weight; the running mean where d is 1.
struct bias_corrected_ema {
  using limbeck_decay = void;
  double decay = 0.999;  ///< d, in [0, 1]
  /// @throws value_error where the decay is not in [0, 1].
  double operator()(std::uint64_t n) const {
    detail::require_decay(decay, "bias_corrected_ema::decay");
    const double count = static_cast<double>(n);
    if (n == 1 || decay == 0) return 0;
    if (decay == 1) return (count - 1) / count;
    return decay * std::expm1((count - 1) * std::log(decay)) / std::expm1(count * std::log(decay));
  }
};

/// The running mean, decay (n - 1)/n: stochastic weight averaging, with `averaging_period{.start, .every}`; uniform
/// soups and averages of checkpoints, one update a checkpoint. Batch-norm statistics must be computed anew afterwards.
///
/// Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, 2018, arXiv:1803.05407.
struct swa {
  using limbeck_decay = void;
  constexpr double operator()(std::uint64_t n) const { return static_cast<double>(n - 1) / static_cast<double>(n); }
};

/// From one decay to another in a straight line over a number of updates, then constant; counted, where `linear` is
/// stretched over the run. data2vec's (Baevski et al., 2022, arXiv:2202.03555; the ends are fairseq's for speech); with
/// {.from = 0.5, .to = 0.9996, .updates = 2000} that of HSSDA (Liu et al., 2023, arXiv:2304.01464).
struct linear_ramp {
  using limbeck_decay = void;
  double from = 0.999;            ///< at the first update, in [0, 1]
  double to = 0.9999;             ///< from update 1 + updates on, in [0, 1]
  std::uint64_t updates = 30000;  ///< how many the ramp takes
  /// @throws value_error where an end is not in [0, 1].
  double operator()(std::uint64_t n) const {
    detail::require_decay(from, "linear_ramp::from");
    detail::require_decay(to, "linear_ramp::to");
    if (n > updates) return to;
    return from + (to - from) * static_cast<double>(n - 1) / static_cast<double>(updates);
  }
};

/// A schedule, 1 - (1 - decay)(cos(pi x) + 1)/2 at progress x: from the decay to 1, where the teacher stops.
///
/// Grill et al., Bootstrap your own latent, 2020, arXiv:2006.07733, with x = k/K; `progress(k, K)` is k/(K - 1), so
/// that the last update is exactly at 1. The same wave is DINO's, from 0.996 (Caron et al., 2021, arXiv:2104.14294).
struct byol {
  using limbeck_schedule = void;
  double decay = 0.996;  ///< at the beginning, in [0, 1]
  /// @throws value_error where the decay is not in [0, 1].
  double operator()(double x) const {
    detail::require_decay(decay, "byol::decay");
    return 1 - (1 - decay) * (std::cos(3.14159265358979323846 * x) + 1) / 2;
  }
};

LIMBECK_END_NAMESPACE

#endif
