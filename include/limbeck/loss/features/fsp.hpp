#ifndef LIMBECK_LOSS_FEATURES_FSP_HPP
#define LIMBECK_LOSS_FEATURES_FSP_HPP

/// @file
/// The flow of solution procedure: how the channels of one layer go with those of another of the same network.

#include <limbeck/loss/support.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// |G_s - G_t|_F^2 of a sample, and its gradient; each slot has memory for one matrix.
template <class T>
struct flow_row {
  rows<const T> s, t;
  rows<T> gradient;
  std::size_t first, second, student_positions, teacher_positions;
  row_shares shares;
  T scale;
  T* memory;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const std::size_t n = student_positions;
    T* const d = memory + slot * first * second;
    for_own<T>(team, first * second, [&](std::size_t e) {
      d[e] = entry<Team>(s.row(r), n, e) - entry<Team>(t.row(r), teacher_positions, e);
    });
    const double value = shares(r) * static_cast<double>(inner_product(team, d, d, first * second));
    if (gradient.data) {
      team.wait();
      add_products(team, r, first, s.row(r) + first * n, 0, n, [&](std::size_t i, std::size_t j) { return d[i * second + j]; }, second);
      add_products(team, r, second, s.row(r), first * n, n, [&](std::size_t j, std::size_t i) { return d[i * second + j]; }, first);
    }
    team.wait();  // before the next row of the slot
    return value;
  }

 private:
  /// G_ij, e = i second + j: the mean over positions of channel i of the first layer times channel j of the second.
  template <class Team>
  LIMBECK_HOST_DEVICE T entry(const T* row, std::size_t n, std::size_t e) const {
    const T *const a = row + e / second * n, *const b = row + (first + e % second) * n;
    if constexpr (Team::alone) {
      return inner_product(single_team{}, a, b, n) / static_cast<T>(n);
    } else {
      T total(0);
      for (std::size_t p = 0; p < n; ++p) total += a[p] * b[p];
      return total / static_cast<T>(n);
    }
  }
  /// Channels @p count from column @p begin on: gradient_i += 2 scale/n sum_j w(i, j) other_j.
  template <class Team, class W>
  LIMBECK_HOST_DEVICE void add_products(const Team& team, std::size_t r, std::size_t count, const T* other, std::size_t begin,
                                        std::size_t n, const W& w, std::size_t others) const {
    const T by = static_cast<T>(2 * shares(r) / static_cast<double>(n)) * scale;
    for_own<T>(team, count * n, [&](std::size_t e) {
      T total(0);
      for (std::size_t j = 0; j < others; ++j) total += w(e / n, j) * other[j * n + e % n];
      gradient(r, begin + e) += by * total;
    });
  }
};

}  // namespace detail

/// The mean over samples of |G_s - G_t|_F^2, G_ij = the mean over positions of a_ip b_jp: the flow of solution procedure
/// between two layers a and b of each network.
///
/// A row holds both layers side by side: `first_channels` x positions of the one, then `second_channels` x positions of the
/// other, with the same positions. Let `forward` give one output that holds both, the larger map pooled to the size of the
/// smaller (by its maximum in the paper). Channels of student and teacher are equal, positions may differ. Several
/// pairs of layers: several outputs, one term each. The mean over the entries of G that some codes take is the weight
/// 1/(first_channels second_channels). O(samples x first_channels x second_channels x positions).
/// @throws shape_error where first_channels + second_channels do not divide a width, or one is 0; value_error where a feature
///   is not finite.
///
/// Yim, Joo, Bae and Kim, A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and Transfer Learning,
/// 2017.
struct fsp {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true, into_teacher = true;
  std::size_t first_channels = 1, second_channels = 1;  ///< of the two layers, in student and teacher

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (first_channels == 0 || second_channels == 0)
      raise<shape_error>("limbeck: fsp has a layer of 0 channels, expected at least 1");
    const std::size_t k = first_channels * second_channels, both = first_channels + second_channels;
    const std::size_t n = detail::positions_of(x.student.classes, both, "student");
    const std::size_t m = detail::positions_of(x.teacher.classes, both, "teacher");
    if (x.samples() == 0 || n == 0 || m == 0) return 0;
    const rows<const T> s = detail::contiguous(x, x.student), t = detail::contiguous(x, x.teacher);
    T* const memory = x.memory.template take<T>(x.slots(x.samples()) * k).data();
    return detail::with_teacher(*this, x, detail::finite(x, 1, x.sum_rows_in_slots(x.student.classes, detail::flow_row<T>{
        s, t, x.gradient, first_channels, second_channels, n, m, detail::shares_of(x), x.scale, memory})));
  }
};

LIMBECK_END_NAMESPACE

#endif
