#ifndef LIMBECK_LOSS_LOGITS_ULD_HPP
#define LIMBECK_LOSS_LOGITS_ULD_HPP

/// @file
/// Universal logit distillation: the shapes of two distributions, whatever their classes mean.

#include <limbeck/engine/point.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

LIMBECK_BEGIN_NAMESPACE

/// sum_k |p_(k) - q_(k)|, both sides sorted by falling probability: p = softmax(t/T) the teacher, q = softmax(s/T) the
/// student. In [0, 2).
///
/// No class of one side is compared with the same of the other, so the vocabularies may differ, in size too: the ranks
/// that the shorter side lacks have the probability 0. The gradient holds the order; where logits of the student are
/// equal, their ranks share theirs evenly, and the subgradient at p_(k) = q_(k) is 0. Multiplied by T, as total
/// variation is. Probabilities are compared in double, in float too. C <= 2^24 in float. On the host. O(C log C) a row.
///
/// Boizard et al., Towards Cross-Tokenizer Distillation: the Universal Logit Distillation Loss for LLMs, 2024,
/// arXiv:2402.12030. Their code has no factor T: `unscaled(uld{})`.
struct uld {
  using limbeck_loss = rowwise;
  static constexpr int temperature_power = 1;
  static constexpr std::size_t scratch_rows = 3;
  static constexpr bool any_width = true;

  template <class T>
  T operator()(const row<T>& x) const {
    const std::size_t n = x.student.size(), m = x.teacher.size(), ranks = (std::max)(n, m);
    const auto s = x.scratch.subspan(0, n), t = x.scratch.subspan(n, ranks), signs = x.scratch.subspan(n + ranks, n);
    const falling<T> q(x.student, x.student_temperature, s), p(x.teacher, x.teacher_temperature, t.first(m));
    double value = 0;
    T sum_of_signs = 0;  // of the ranks 0 to k: a whole number
    for (std::size_t k = 0; k < ranks; ++k) {
      const double mine = k < n ? q(s[k]) : 0, theirs = k < m ? p(t[k]) : 0;
      value += std::fabs(mine - theirs);
      sum_of_signs += mine > theirs ? T(1) : mine < theirs ? T(-1) : T(0);
      if (k < n) signs[k] = sum_of_signs;
    }
    if (x.gradient.empty()) return static_cast<T>(value);

    const auto slope = t;  // d value / d q_i: the mean sign of its ranks
    double average = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto [first, last] = std::equal_range(s.begin(), s.end(), x.student[i], std::greater<>());
      const auto a = static_cast<std::size_t>(first - s.begin()), b = static_cast<std::size_t>(last - s.begin());
      slope[i] = (signs[b - 1] - (a > 0 ? signs[a - 1] : T(0))) / static_cast<T>(b - a);
      average += q(x.student[i]) * static_cast<double>(slope[i]);
    }
    const double scale = static_cast<double>(x.scale) / static_cast<double>(x.student_temperature);
    for (std::size_t i = 0; i < n; ++i)
      x.gradient[i] += static_cast<T>(scale * q(x.student[i]) * (static_cast<double>(slope[i]) - average));
    return static_cast<T>(value);
  }

 private:
  /// The logits of a side by falling size, and their probabilities, in double: the sides may be close.
  template <class T>
  struct falling {
    double top, inverse_t, total = 0;
    falling(std::span<const T> x, T temperature, std::span<T> sorted)
        : inverse_t(1 / static_cast<double>(temperature)) {
      std::copy(x.begin(), x.end(), sorted.begin());
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      top = static_cast<double>(sorted[0]);
      for (const T z : sorted) total += power(z);
    }
    double operator()(T z) const { return power(z) / total; }

   private:
    double power(T z) const { return std::exp((static_cast<double>(z) - top) * inverse_t); }
  };
};

LIMBECK_END_NAMESPACE

#endif
