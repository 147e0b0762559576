#ifndef LIMBECK_LOSS_FEATURES_CHANNEL_AFFINITY_HPP
#define LIMBECK_LOSS_FEATURES_CHANNEL_AFFINITY_HPP

/// @file
/// Affinities of positions, channel by channel, without a matrix of positions x positions.

#include <limbeck/loss/support.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The sum over channels of |u u^T - v v^T|_F, and its gradient; each slot has memory for two channels.
template <class T>
struct channel_affinity_row {
  rows<const T> s, t;
  rows<T> gradient;
  std::size_t channels, positions;
  row_shares shares;
  T scale;
  T* memory;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const std::size_t n = positions;
    T *const u = memory + 2 * slot * n, *const v = u + n;
    const double share = shares(r) / static_cast<double>(n);
    double value = 0;
    for (std::size_t i = 0; i < channels; ++i) {
      const T norm = unit_vector(team, n, [&](std::size_t p) { return s(r, i * n + p); }, u);
      const T other = unit_vector(team, n, [&](std::size_t p) { return t(r, i * n + p); }, v);
      team_array<double, 2> sums{};
      for_own<T>(team, n, [&](std::size_t p) {
        const double a = static_cast<double>(u[p]), b = static_cast<double>(v[p]);
        sums.v[0] += (a - b) * (a - b);
        sums.v[1] += (a + b) * (a + b);
      });
      sums = team.sum(sums);
      const double minus = std::sqrt(sums.v[0]), plus = std::sqrt(sums.v[1]);
      if (norm == T(0) || other == T(0)) {  // |u|^2 or |v|^2, which is 1 or 0
        value += sums.v[0];
        continue;
      }
      value += minus * plus / std::sqrt(2.0);
      if (!gradient.data || minus == 0 || plus == 0) continue;
      const double by_minus = plus / minus / std::sqrt(2.0), by_plus = minus / plus / std::sqrt(2.0);
      for_own<T>(team, n, [&](std::size_t p) {
        const double a = static_cast<double>(u[p]), b = static_cast<double>(v[p]);
        v[p] = static_cast<T>(by_minus * (a - b) + by_plus * (a + b));
      });
      pull_back_unit(team, u, norm, v, n);
      for_own<T>(team, n, [&](std::size_t p) { gradient(r, i * n + p) += static_cast<T>(share) * scale * v[p]; });
    }
    return share * value;
  }
};

}  // namespace detail

/// The mean over samples of sum_c |u_c u_c^T - v_c v_c^T|_F/positions, u_c and v_c the maps of channel c of student and teacher,
/// each divided by its 2-norm.
///
/// u_c u_c^T are the affinities of all pairs of positions in one channel. They are of rank one, so the norm is
/// |u - v| |u + v|/sqrt(2), and no matrix is made: O(samples x width). A row is `channels` x positions, of one width in student and
/// teacher. A map and its negative are the same. A channel that is all 0 has the affinities 0, and no gradient; nor has one that
/// agrees.
/// @throws shape_error where the widths differ or channels do not divide them; value_error where a feature is not finite.
///
/// torchdistill's `AffinityLoss`, for He, Shen, Tian, Gong, Sun and Yan, Knowledge Adaptation for Efficient Semantic Segmentation,
/// 2019, arXiv:1903.04688, whose own formula was not read.
struct channel_affinity {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true, into_teacher = true;  // checked here, where projected() ends too
  std::size_t channels = 1;                               ///< of both

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "channel_affinity");
    const std::size_t n = detail::positions_of(x.student.classes, channels, "student");
    if (x.samples() * n == 0) return 0;
    T* const memory = x.memory.template take<T>(2 * x.slots(x.samples()) * n).data();
    return detail::with_teacher(*this, x, detail::finite(x, 1, x.sum_rows_in_slots(x.student.classes, detail::channel_affinity_row<T>{
        x.student, x.teacher, x.gradient, channels, n, detail::shares_of(x), x.scale, memory})));
  }
};

LIMBECK_END_NAMESPACE

#endif
