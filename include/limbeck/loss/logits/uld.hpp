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
/// No class of one side is compared with the same of the other, so the vocabularies may differ, in size too: the ranks that
/// the shorter side lacks have the probability 0. The gradient holds the order; where probabilities of the
/// student are equal, their ranks share theirs evenly, and the subgradient at p_(k) = q_(k) is 0. Multiplied by T, as
/// total variation is. C <= 2^24 in float. On the host. O(C log C) a row.
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
    const std::size_t n = x.student.size(), ranks = (std::max)(n, x.teacher.size());
    const auto q = x.scratch.subspan(0, n), falling = x.scratch.subspan(n, n), p = x.scratch.subspan(2 * n, ranks);
    softmax(x.student, x.student_temperature, q);
    softmax(x.teacher, x.teacher_temperature, p.first(x.teacher.size()));
    std::fill(p.begin() + static_cast<std::ptrdiff_t>(x.teacher.size()), p.end(), T(0));
    std::copy(q.begin(), q.end(), falling.begin());
    std::sort(falling.begin(), falling.end(), std::greater<>());
    std::sort(p.begin(), p.end(), std::greater<>());
    double value = 0;
    T signs = 0;
    for (std::size_t k = 0; k < n; ++k) {
      value += std::fabs(static_cast<double>(falling[k]) - static_cast<double>(p[k]));
      signs += falling[k] > p[k] ? T(1) : falling[k] < p[k] ? T(-1) : T(0);
      p[k] = signs;  // of the ranks 0 to k: a whole number
    }
    for (std::size_t k = n; k < ranks; ++k) value += static_cast<double>(p[k]);
    if (x.gradient.empty()) return static_cast<T>(value);

    const auto slope = [&](std::size_t i) {  // d value / d q_i: the mean sign of its ranks
      const auto [first, last] = std::equal_range(falling.begin(), falling.end(), q[i], std::greater<>());
      const auto a = static_cast<std::size_t>(first - falling.begin()), b = static_cast<std::size_t>(last - falling.begin());
      return (p[b - 1] - (a > 0 ? p[a - 1] : T(0))) / static_cast<T>(b - a);
    };
    double average = 0;
    for (std::size_t i = 0; i < n; ++i) average += static_cast<double>(q[i]) * static_cast<double>(slope(i));
    const double scale = static_cast<double>(x.scale) / static_cast<double>(x.student_temperature);
    for (std::size_t i = 0; i < n; ++i)
      x.gradient[i] += static_cast<T>(scale * static_cast<double>(q[i]) * (static_cast<double>(slope(i)) - average));
    return static_cast<T>(value);
  }

 private:
  template <class T, class Out>
  static void softmax(std::span<const T> x, T temperature, const Out& out) {
    const T top = *std::max_element(x.begin(), x.end());
    double total = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      total += static_cast<double>(out[i] = std::exp((x[i] - top) / temperature));
    for (T& e : out) e = static_cast<T>(static_cast<double>(e) / total);
  }
};

LIMBECK_END_NAMESPACE

#endif
