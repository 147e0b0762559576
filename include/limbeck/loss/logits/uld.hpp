#ifndef LIMBECK_LOSS_LOGITS_ULD_HPP
#define LIMBECK_LOSS_LOGITS_ULD_HPP

/// @file
/// Universal logit distillation: the shapes of two distributions, whatever their classes mean.

#include <limbeck/engine/point.hpp>
#include <limbeck/engine/team_row.hpp>

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
    detail::for_own<T>(x.team, ranks, [&](std::size_t k) {
      const double mine = k < n ? q(s[k]) : 0, theirs = k < m ? p(t[k]) : 0;
      value += std::fabs(mine - theirs);
      if (k < n) signs[k] = mine > theirs ? T(1) : mine < theirs ? T(-1) : T(0);
    });
    value = detail::sum_over(x.team, value);
    if (x.gradient.empty()) return static_cast<T>(value);

    x.team.wait();  // then signs[k] is the sum over the ranks 0 to k, a whole number
    const auto plus = [](T a, T b) { return a + b; };
    detail::scan_row<T>(x.team, n, T(0), t.data(), [&](T a, std::size_t k) { return a + signs[k]; }, plus,
                        [&](T a, std::size_t k) { return signs[k] += a; });
    x.team.wait();
    const auto slope = t;  // d value / d q_i: the mean sign of its ranks
    double average = 0;
    detail::for_own<T>(x.team, n, [&](std::size_t i) {
      const T z = x.student[i];
      const auto [a, b] = ranks_of(s, z);
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
  struct range {
    std::size_t first, last;
  };
  /// Where @p z stands among numbers of falling size: [first, last), most often one place.
  template <class T>
  LIMBECK_HOST_DEVICE static range ranks_of(std::span<T> sorted, T z) {
    const auto bisect = [](std::size_t a, std::size_t b, const auto& before) {
      while (a < b) {
        const std::size_t middle = a + (b - a) / 2;
        if (before(middle)) {
          a = middle + 1;
        } else {
          b = middle;
        }
      }
      return a;
    };
    const std::size_t n = sorted.size(), first = bisect(0, n, [&](std::size_t k) { return sorted[k] > z; });
    std::size_t last = first + 1;
    while (last < n && sorted[last] == z) last += last - first;
    return {first, bisect(first + 1, last < n ? last : n, [&](std::size_t k) { return sorted[k] == z; })};
  }

  /// The logits of a side by falling size, and their probabilities, in double: the sides may be close.
  template <class T>
  struct falling {
    double top, inverse_t, total = 0;
    template <class Team>
    LIMBECK_HOST_DEVICE falling(const Team& team, std::span<const T> x, T temperature, std::span<T> sorted)
        : inverse_t(1 / static_cast<double>(temperature)) {
      detail::copy_own(team, x.data(), x.size(), sorted.data());
      detail::sort_row(team, sorted.data(), x.size(), [](T a, T b) { return a > b; });
      top = static_cast<double>(sorted[0]);
      detail::for_own<T>(team, x.size(), [&](std::size_t i) { total += power(sorted[i]); });
      total = detail::sum_over(team, total);
    }
    LIMBECK_HOST_DEVICE double operator()(T z) const { return power(z) / total; }

   private:
    LIMBECK_HOST_DEVICE double power(T z) const { return std::exp((static_cast<double>(z) - top) * inverse_t); }
  };
};

LIMBECK_END_NAMESPACE

#endif
