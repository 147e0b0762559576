#ifndef LIMBECK_LOSS_LOGITS_LABEL_PAIRS_HPP
#define LIMBECK_LOSS_LOGITS_LABEL_PAIRS_HPP

/// @file
/// The label against each other class, one at a time.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

#include <cmath>
#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// The mean over the classes c that are not the label y of -log(e^z_y/(e^z_y + negatives e^z_c) + floor), z = s/T.
///
/// Of equal logits it is log(1 + negatives), but for the floor, which bounds it by -log(floor) and lets go of pairs
/// that are hopeless; sure pairs fall to -log(1 + floor), a little below 0. Needs labels. Classes that are masked count nowhere; a row without another class is 0; a label of
/// -inf has the bound and no gradient. In `at_temperature(T, label_pairs{})` it is multiplied by T, as cross-entropy
/// is.
///
/// NSA's prototype term, on logits `then(unit_rows{}, class_vectors(P))`, P the means of unit features: Zhou et al.,
/// Unsupervised Domain Adaptive Detection with Network Stability Analysis, 2023, arXiv:2308.08182, after the authors'
/// code, which has a further term against two rows of the background.
struct label_pairs {
  using limbeck_loss = rowwise;
  static constexpr bool needs_labels = true, needs_teacher = false;
  static constexpr int temperature_power = 1;
  double negatives = 2;  ///< how often the other class counts, positive
  double floor = 1e-6;   ///< added to the probability, in [0, 1)

  void check() const {
    if (!(negatives > 0 && std::isfinite(negatives)))
      raise<value_error>("limbeck: label_pairs.negatives is " + detail::show(negatives) +
                         ", expected a positive number");
    if (!(floor >= 0 && floor < 1))
      raise<value_error>("limbeck: label_pairs.floor is " + detail::show(floor) + ", expected a number in [0, 1)");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    const auto label = static_cast<std::size_t>(x.label);
    const T own = x.student[label], log_times = static_cast<T>(std::log(negatives)), at_least = static_cast<T>(floor);
    const bool masked = own == -infinity;
    const auto counts = [&](std::size_t c) { return c != label && x.student[c] > -infinity; };
    const auto against = [&](std::size_t c) { return (x.student[c] - own) / x.student_temperature + log_times; };
    detail::team_array<T, 2> sums{};  // of losses, of classes
    detail::for_own<T>(x.team, x.student.size(), [&](std::size_t c) {
      if (!(x.student[c] < infinity)) sums.v[0] = std::numeric_limits<T>::quiet_NaN();  // for the call to report
      if (!counts(c)) return;
      const T u = against(c), e = std::exp(-std::fabs(u));  // of the two, the label has the probability 1/(1 + e^u)
      sums.v[0] += u <= T(0)         ? -std::log1p(at_least - e / (T(1) + e))
                   : at_least == T(0) ? u + std::log1p(e)
                                      : -std::log(e / (T(1) + e) + at_least);
      sums.v[1] += T(1);
    });
    sums = x.team.sum(sums);
    if (sums.v[1] == T(0)) return sums.v[0];
    if (x.gradient.empty() || masked) return sums.v[0] / sums.v[1];
    const T scale = x.scale / (sums.v[1] * x.student_temperature);
    T mine = 0;
    detail::for_own<T>(x.team, x.student.size(), [&](std::size_t c) {
      if (!counts(c)) return;
      const T u = against(c), e = std::exp(-std::fabs(u));
      const T p = (u > T(0) ? e : T(1)) / (T(1) + e), rest = (u > T(0) ? T(1) : e) / (T(1) + e);
      const T g = scale * rest * (at_least == T(0) ? T(1) : p / (p + at_least));
      mine += g;
      x.gradient[c] += g;
    });
    const T all = detail::sum_over(x.team, mine);
    detail::for_own<T>(x.team, x.student.size(), [&](std::size_t c) {
      if (c == label) x.gradient[c] -= all;
    });
    return sums.v[0] / sums.v[1];
  }
};

LIMBECK_END_NAMESPACE

#endif
