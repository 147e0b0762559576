#ifndef LIMBECK_LOSS_LOGITS_ULD_HPP
#define LIMBECK_LOSS_LOGITS_ULD_HPP

/// @file
/// Universal logit distillation: the shapes of two distributions, whatever their classes mean.

#include <limbeck/engine/point.hpp>
#include <limbeck/engine/team_row.hpp>

#include <algorithm>
#include <cmath>

LIMBECK_BEGIN_NAMESPACE

/// sum_k |p_(k) - q_(k)|, both sides sorted by falling probability: p = softmax(t/T) the teacher, q = softmax(s/T) the
/// student. In [0, 2).
///
/// No class of one side is compared with the same of the other, so the vocabularies may differ, in size too: the ranks
/// that the shorter side lacks have the probability 0. The gradient holds the order; where logits of the student are
/// equal, their ranks share theirs evenly, and the subgradient at p_(k) = q_(k) is 0. Multiplied by T, as total
/// variation is. Probabilities are compared in double, in float too. C <= 2^24 in float. O(C log C) a row.
///
/// Boizard et al., Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs, 2024,
/// arXiv:2402.12030. Their code has no factor T: `unscaled(uld{})`.
struct uld {
  using limbeck_loss = rowwise;
  static constexpr int temperature_power = 1;
  static constexpr std::size_t scratch_rows = 3;
  static constexpr bool any_width = true;

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const std::size_t n = x.student.size(), m = x.teacher.size(), ranks = n > m ? n : m;
    const auto s = x.scratch.subspan(0, n), t = x.scratch.subspan(n, ranks), signs = x.scratch.subspan(n + ranks, n);
    const falling<T> q(x.team, x.student, x.student_temperature, s), p(x.team, x.teacher, x.teacher_temperature, t.first(m));
    double value = 0;
    const auto sign_at = [&](std::size_t k) {
      const double mine = k < n ? q(s[k]) : 0, theirs = k < m ? p(t[k]) : 0;
      value += std::fabs(mine - theirs);
      return mine > theirs ? T(1) : mine < theirs ? T(-1) : T(0);
    };
    // signs[k] becomes their sum over the ranks 0 to k, a whole number; alone it is taken on the way
    if constexpr (Team::alone) {
      T so_far = 0;
      for (std::size_t k = 0; k < n; ++k) signs[k] = so_far += sign_at(k);
      for (std::size_t k = n; k < ranks; ++k) (void)sign_at(k);
      if (x.gradient.empty()) return static_cast<T>(value);
    } else {
      detail::for_own<T>(x.team, ranks, [&](std::size_t k) {
        const T sign = sign_at(k);
        if (k < n) signs[k] = sign;
      });
      value = detail::sum_over(x.team, value);
      if (x.gradient.empty()) return static_cast<T>(value);
      x.team.wait();
      const auto plus = [](T a, T b) { return a + b; };
      detail::scan_row<T>(x.team, n, T(0), t.data(), [&](T a, std::size_t k) { return a + signs[k]; }, plus,
                          [&](T a, std::size_t k) { return signs[k] += a; });
      x.team.wait();
    }
    const auto slope = t;  // d value / d q_i: the mean sign of its ranks
    const auto comes_before = [](T y, T z) { return y > z; };
    double average = 0;
    detail::for_own<T>(x.team, n, [&](std::size_t i) {
      const T z = x.student[i];
      const auto [first, last] = std::equal_range(s.begin(), s.end(), z, comes_before);
      const auto a = static_cast<std::size_t>(first - s.begin()), b = static_cast<std::size_t>(last - s.begin());
      slope[i] = (signs[b - 1] - (a > 0 ? signs[a - 1] : T(0))) / static_cast<T>(b - a);
      average += q(z) * static_cast<double>(slope[i]);
    });
    average = detail::sum_over(x.team, average);
    const double scale = static_cast<double>(x.scale) / static_cast<double>(x.student_temperature);
    detail::for_own<T>(x.team, n, [&](std::size_t i) {
      x.gradient[i] += static_cast<T>(scale * q(x.student[i]) * (static_cast<double>(slope[i]) - average));
    });
    return static_cast<T>(value);
  }

 private:
  /// The logits of a side by falling size, and their probabilities, in double: the sides may be close.
  template <class T>
  struct falling {
    double top, inverse_t, total;
    template <class Team>
    LIMBECK_INLINE falling(const Team& team, std::span<const T> x, T temperature, std::span<T> sorted)
        : inverse_t(1 / static_cast<double>(temperature)) {
      detail::copy_own(team, x.data(), x.size(), sorted.data());
      detail::sort_row(team, sorted.data(), x.size(), [](T a, T b) { return a > b; });
      top = static_cast<double>(sorted[0]);
      double sum_of_own = 0;
      detail::for_own<T>(team, x.size(), [&](std::size_t i) { sum_of_own += power(sorted[i]); });
      total = detail::sum_over(team, sum_of_own);
    }
    LIMBECK_INLINE double operator()(T z) const { return power(z) / total; }

   private:
    LIMBECK_INLINE double power(T z) const { return std::exp((static_cast<double>(z) - top) * inverse_t); }
  };
};

LIMBECK_END_NAMESPACE

#endif
