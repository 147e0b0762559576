#ifndef LIMBECK_LOSS_LOGITS_RERANKED_HPP
#define LIMBECK_LOSS_LOGITS_RERANKED_HPP

/// @file
/// The student's favourites in the teacher's order.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/engine/team_row.hpp>
#include <limbeck/engine/top_classes.hpp>

#include <cmath>
#include <limits>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// The sum over ranks i = 1, ..., k of log sum_(l >= i) exp(s_l) - s_i, the student's k highest classes by falling teacher
/// logit: minus the logarithm of the teacher's order under Plackett and Luce's model of the student's scores.
///
/// The choice and the order are held fixed; of equal logits the lowest class comes first. Unchanged by a constant added to either
/// side; of the teacher the order alone counts. Classes that the student masks are not among its k, those that the teacher masks come last.
/// One class is 0. In `at_temperature(T, reranked{})` it is multiplied by T, as cross-entropy is. C <= 2^24 in float. O(C + k^2) a row on the
/// host.
///
/// The indirect part of Kim and Baek, Explain in Your Own Words: Improving Reasoning via Token-Selective Dual Knowledge
/// Distillation (TSD-KD), 2026, arXiv:2603.13260, checked against the authors' code, in which the denominators are those of `prefix`, and the mean is
/// over the first tokens of an answer, as row weights say here.
struct reranked {
  using limbeck_loss = rowwise;
  static constexpr int temperature_power = 1;
  static constexpr std::size_t scratch_rows = 2;
  std::size_t k = 10;    ///< the student's highest classes, at least 1; all where there are no more
  bool prefix = false;   ///< sums over l <= i, the authors' logcumsumexp: the likelihood of the order turned round

  void check() const {
    if (k == 0) raise<value_error>("limbeck: reranked.k is 0, expected at least 1");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const std::size_t n = x.student.size();
    T *const order = x.scratch.data(), *const rests = order + n;
    const auto at = [](T place) { return static_cast<std::size_t>(place); };
    const std::size_t count = detail::list_highest(x.team, x.student.data(), n, k < n ? k : n,
                                                   -std::numeric_limits<T>::infinity(), order);
    detail::sort_row(x.team, order, count, [&](T a, T b) {
      const T s = x.teacher[at(a)], t = x.teacher[at(b)];
      return prefix ? s < t || (s == t && a > b) : s > t || (s == t && a < b);
    });
    const double inverse = 1 / static_cast<double>(x.student_temperature);
    const auto over = [&](std::size_t l, std::size_t i) {  // what l has over i
      return (static_cast<double>(x.student[at(order[l])]) - static_cast<double>(x.student[at(order[i])])) * inverse;
    };
    const auto higher = [&](std::size_t a, std::size_t b) { return over(b, a) > 0 ? b : a; };
    // rests[i]: the sum over l >= i, less its largest term, over that term
    const double value = detail::sum_own<T, double>(x.team, count, [&](std::size_t i) {
      std::size_t top = i;
      for (std::size_t l = i + 1; l < count; ++l) top = higher(top, l);
      double rest = 0;
      for (std::size_t l = i; l < count; ++l) rest += l == top ? 0 : std::exp(over(l, top));
      rests[i] = static_cast<T>(rest);
      return over(top, i) + std::log1p(rest);
    });
    if (x.gradient.empty()) return static_cast<T>(value);
    x.team.wait();
    const double scale = static_cast<double>(x.scale) * inverse;
    detail::for_own<T>(x.team, count, [&](std::size_t i) {
      std::size_t top = i;
      for (std::size_t l = i + 1; l < count; ++l) top = higher(top, l);
      const auto rest = [&](std::size_t m) { return static_cast<double>(rests[m]); };
      double slope = -(top == i ? rest(i) : 1 + rest(i) - std::exp(over(i, top))) / (1 + rest(i));
      for (std::size_t m = i; m-- > 0;) {
        top = higher(top, m);
        slope += std::exp(over(i, top)) / (1 + rest(m));
      }
      x.gradient[at(order[i])] += static_cast<T>(scale * slope);
    });
    return static_cast<T>(value);
  }
};

LIMBECK_END_NAMESPACE

#endif
