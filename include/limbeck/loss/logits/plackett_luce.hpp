#ifndef LIMBECK_LOSS_LOGITS_PLACKETT_LUCE_HPP
#define LIMBECK_LOSS_LOGITS_PLACKETT_LUCE_HPP

/// @file
/// Plackett-Luce distillation: the student learns the teacher's ranking of the classes, the label at its head.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/engine/team_row.hpp>

#include <cmath>
#include <limits>

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
  static constexpr std::size_t scratch_rows = 4;
  double temperature = 1;  ///< of the teacher's softmax, positive; the authors' CIFAR runs have 4

  void check() const {
    if (!(temperature > 0 && temperature <= (std::numeric_limits<double>::max)()))
      raise<value_error>("limbeck: pld.temperature is " + detail::show(temperature) + ", expected a positive number");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const std::size_t n = x.student.size(), label = static_cast<std::size_t>(x.label);
    const auto order = x.scratch.subspan(0, n), weights = x.scratch.subspan(n, n), tails = x.scratch.subspan(2 * n, n);
    const auto at = [](T rank) { return static_cast<std::size_t>(rank); };
    detail::for_own<T>(x.team, n, [&](std::size_t i) {
      order[i] = static_cast<T>(i == 0 ? label : i == label ? 0 : i);
    });
    detail::sort_row(x.team, order.data() + 1, n - 1, [&](T a, T b) {
      const T s = x.teacher[at(a)], t = x.teacher[at(b)];
      return s > t || (s == t && a < b);
    });
    const T inverse = static_cast<T>(1 / temperature), top = detail::highest_in(x.team, x.teacher.data(), n),
            top_student = detail::highest_in(x.team, x.student.data(), n);
    T mass = 0;
    detail::for_own<T>(x.team, n, [&](std::size_t k) {
      mass += weights[k] = std::exp((x.teacher[at(order[k])] - top) * inverse);
    });
    mass = detail::sum_over(x.team, mass);

    const auto student = [&](std::size_t k) { return (x.student[at(order[k])] - top_student) / x.student_temperature; };
    constexpr T infinity = std::numeric_limits<T>::infinity();
    // log(exp(s) + exp(tail)) - s = log(1 + exp(gap)) >= 0, where gap is what the classes behind have over this one
    const auto loss_of = [](T s, T tail) {
      const T gap = tail - s;
      return (gap > T(0) ? gap : T(0)) + std::log1p(std::exp(-std::fabs(gap)));
    };
    const auto with = [](T tail, T s) { return detail::log_add(tail, s); };
    T value = 0;
    x.team.wait();
    // tails, from the last class: log sum_(l >= k) exp(s_l)
    const auto fold_tail = [&](T tail, std::size_t i) { return with(tail, student(n - 1 - i)); };
    detail::scan_row<T>(x.team, n, -infinity, tails.data(), fold_tail, with, [&](T tail, std::size_t i) {
      const std::size_t k = n - 1 - i;
      const T s = student(k), w = weights[k] / mass;
      if (s == -infinity) {
        if (w > T(0)) value = infinity;
      } else {
        const T loss = loss_of(s, tail);
        value += w * loss;
        tail = s + loss;
      }
      weights[k] = w, tails[k] = tail;
      return tail;
    });
    value = detail::sum_over(x.team, value);
    if (x.gradient.empty()) return value;

    struct chosen {
      T sum, tail;  // sum_(j <= k) a_j exp(tail_k - tail_j), and tail_k
    };
    const auto after = [](const chosen& a, T tail) { return a.sum == T(0) ? T(0) : a.sum * std::exp(tail - a.tail); };
    const auto fold = [&](const chosen& a, std::size_t k) {
      return chosen{after(a, tails[k]) + (student(k) == -infinity ? T(0) : weights[k]), tails[k]};
    };
    const auto join = [&](const chosen& a, const chosen& b) { return chosen{after(a, b.tail) + b.sum, b.tail}; };
    const T scale = x.scale / x.student_temperature;
    x.team.wait();
    detail::scan_row<chosen>(x.team, n, chosen{T(0), T(0)}, reinterpret_cast<chosen*>(x.scratch.data() + 3 * n), fold, join,
                             [&](const chosen& a, std::size_t k) {
      const chosen now = fold(a, k);
      const T s = student(k);
      if (s != -infinity) x.gradient[at(order[k])] += scale * (now.sum * std::exp(s - tails[k]) - weights[k]);
      return now;
    });
    return value;
  }
};

LIMBECK_END_NAMESPACE

#endif
