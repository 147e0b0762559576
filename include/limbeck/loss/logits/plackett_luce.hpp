#ifndef LIMBECK_LOSS_LOGITS_PLACKETT_LUCE_HPP
#define LIMBECK_LOSS_LOGITS_PLACKETT_LUCE_HPP

/// @file
/// Plackett-Luce distillation: the student learns the teacher's ranking of the classes, the label at its head.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// The sum over ranks k of a_k (log sum_(l >= k) exp(s_l) - s_k), classes in the order: the label, then the others by
/// falling teacher logit (ties: lowest class first). a_k = softmax(t/temperature) of the class at rank k.
///
/// It takes the place of cross-entropy and distillation together. Convex in s, unchanged by a constant added to s. All
/// weight on the label gives cross-entropy, equal weights 1/C give ListMLE over C. Needs labels. In `at_temperature(T,
/// pld{})` s is divided by T, the teacher's temperature stays its own, and the loss is multiplied by T as cross-entropy
/// is. A class that the teacher masks has no weight; +inf where the student masks one that has. C <= 2^24 in float. O(C
/// log C) a row.
///
/// Bassam et al., PLD: A Choice-Theoretic List-Wise Knowledge Distillation, 2025, arXiv:2506.12542. The authors
/// published no code; PyLate's `PlackettLuce` was compared.
struct pld {
  using limbeck_loss = rowwise;
  static constexpr bool needs_labels = true;
  static constexpr int temperature_power = 1;
  static constexpr std::size_t scratch_rows = 3;
  double temperature = 1;  ///< of the teacher's softmax, positive; the authors' CIFAR runs have 4

  void check() const {
    if (!(temperature > 0 && temperature <= (std::numeric_limits<double>::max)()))
      raise<value_error>("limbeck: pld.temperature is " + detail::show(temperature) + ", expected a positive number");
  }

  template <class T>
  T operator()(const row<T>& x) const {
    const std::size_t n = x.student.size();
    const auto order = x.scratch.subspan(0, n), weights = x.scratch.subspan(n, n), tails = x.scratch.subspan(2 * n, n);
    const auto at = [](T rank) { return static_cast<std::size_t>(rank); };
    for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<T>(i);
    std::swap(order[0], order[static_cast<std::size_t>(x.label)]);
    std::sort(order.begin() + 1, order.end(), [&](T a, T b) {
      const T s = x.teacher[at(a)], t = x.teacher[at(b)];
      return s > t || (s == t && a < b);
    });
    const T inverse = static_cast<T>(1 / temperature), top = *std::max_element(x.teacher.begin(), x.teacher.end()),
            top_student = *std::max_element(x.student.begin(), x.student.end());
    T mass = 0;
    for (std::size_t k = 0; k < n; ++k) mass += weights[k] = std::exp((x.teacher[at(order[k])] - top) * inverse);

    const auto student = [&](std::size_t k) { return (x.student[at(order[k])] - top_student) / x.student_temperature; };
    constexpr T infinity = std::numeric_limits<T>::infinity();
    T tail = -infinity, value = 0;  // tail: log sum_(l >= k) exp(s_l)
    for (std::size_t k = n; k-- > 0;) {
      const T s = student(k), w = weights[k] / mass, gap = tail - s;
      if (s == -infinity) {
        if (w > T(0)) value = infinity;
      } else {  // tail - s = log(1 + exp(gap)) >= 0, where gap is what the classes behind have over this one
        const T loss = (gap > T(0) ? gap : T(0)) + std::log1p(std::exp(-std::fabs(gap)));
        value += w * loss;
        tail = s + loss;
      }
      weights[k] = w, tails[k] = tail;
    }
    if (x.gradient.empty()) return value;
    const T scale = x.scale / x.student_temperature;
    T chosen = 0;  // sum_(j <= k) a_j exp(tail_k - tail_j)
    for (std::size_t k = 0; k < n; ++k) {
      if (k > 0) chosen *= std::exp(tails[k] - tails[k - 1]);
      if (student(k) == -infinity) continue;
      chosen += weights[k];
      x.gradient[at(order[k])] += scale * (chosen * std::exp(student(k) - tails[k]) - weights[k]);
    }
    return value;
  }
};

LIMBECK_END_NAMESPACE

#endif
