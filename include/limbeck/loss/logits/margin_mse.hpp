#ifndef LIMBECK_LOSS_LOGITS_MARGIN_MSE_HPP
#define LIMBECK_LOSS_LOGITS_MARGIN_MSE_HPP

/// @file
/// Margin-MSE: a ranker learns by how much the teacher prefers one passage to another, not its scores.

#include <limbeck/engine/point.hpp>

#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// The mean over the negatives j of ((s_0 - s_j)/T - (t_0 - t_j)/T)^2.
///
/// A row is a query: the score of its positive passage first, those of its negatives after it, logits of the engine
/// like any others. With one negative it is the published loss, over triples. A negative that is -inf on either side
/// (padding) counts nowhere; a row without negatives is 0; a positive of -inf gives +inf and no gradient. Adding a
/// constant to a row of either side changes nothing. No T^2.
///
/// Hofstaetter et al., Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation, 2020,
/// arXiv:2010.02666, and their `margin_mse_loss.py`.
struct margin_mse {
  using limbeck_loss = rowwise;
  static constexpr int temperature_power = 0;

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const auto finite = [](T v) { return v - v == T(0); };
    const auto counts = [&](std::size_t j) { return finite(x.student[j]) && finite(x.teacher[j]); };
    // in double: margins are differences of logits, and their difference may be small beside either
    const auto apart = [&](std::size_t j) {
      const auto margin = [&](const auto& row, T temperature) {
        return (static_cast<double>(row[0]) - static_cast<double>(row[j])) / static_cast<double>(temperature);
      };
      return margin(x.student, x.student_temperature) - margin(x.teacher, x.teacher_temperature);
    };
    const std::size_t n = x.student.size();
    const bool positive_masked = !counts(0);
    detail::team_array<double, 2> sums{};  // of squares, of negatives
    detail::for_own<T>(x.team, n, [&](std::size_t j) {
      if (j == 0 || !counts(j)) return;
      const double d = positive_masked ? 0 : apart(j);
      sums.v[0] += d * d;
      sums.v[1] += 1;
    });
    sums = x.team.sum(sums);
    const double total = sums.v[0], count = sums.v[1];
    if (count == 0) return 0;
    if (positive_masked) return std::numeric_limits<T>::infinity();
    if (x.gradient.empty()) return static_cast<T>(total / count);
    const double scale = 2 * static_cast<double>(x.scale) / (count * static_cast<double>(x.student_temperature));
    T mine = 0;
    T& of_positive = Team::alone ? x.gradient[0] : mine;
    detail::for_own<T>(x.team, n, [&](std::size_t j) {
      if (j == 0 || !counts(j)) return;
      const T g = static_cast<T>(scale * apart(j));
      of_positive += g;
      x.gradient[j] -= g;
    });
    if constexpr (!Team::alone) {
      const T of_all = detail::sum_over(x.team, mine);
      if (x.team.rank() == 0) x.gradient[0] += of_all;
    }
    return static_cast<T>(total / count);
  }
};

LIMBECK_END_NAMESPACE

#endif
