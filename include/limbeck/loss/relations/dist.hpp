#ifndef LIMBECK_LOSS_RELATIONS_DIST_HPP
#define LIMBECK_LOSS_RELATIONS_DIST_HPP

/// @file
/// DIST: correlation between predictions in the place of equality.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Two vectors, an element at a time: means, then deviations, then the squared distance of the standardised.
struct correlation_moments {
  double q_mean = 0, p_mean = 0, q_spread = 0, p_spread = 0, distance = 0, shrunk = 1;
  LIMBECK_HOST_DEVICE void add(double q, double p) { q_mean += q, p_mean += p; }
  LIMBECK_HOST_DEVICE void centre(double size) { q_mean /= size, p_mean /= size; }
  LIMBECK_HOST_DEVICE void spread(double q, double p) {
    q_spread += (q - q_mean) * (q - q_mean);
    p_spread += (p - p_mean) * (p - p_mean);
  }
  /// From here on q_spread and p_spread are 1 / sqrt of what they were, or 0 where that is rounding; r is shrunk by what is @p added.
  LIMBECK_HOST_DEVICE void close(double added) {
    q_spread = inverse(q_spread, q_mean);
    p_spread = inverse(p_spread, p_mean);
    shrunk = 1 / (1 + added * q_spread * p_spread);
  }
  LIMBECK_HOST_DEVICE static double inverse(double spread, double average) {
    return spread <= 1e-28 * average * average ? 0 : 1 / std::sqrt(spread);
  }
  LIMBECK_HOST_DEVICE double standard_q(double q) const { return (q - q_mean) * q_spread; }
  LIMBECK_HOST_DEVICE double standard_p(double p) const { return (p - p_mean) * p_spread; }
  LIMBECK_HOST_DEVICE void compare(double q, double p) {
    const double d = standard_q(q) - standard_p(p);
    distance += d * d;
  }
  LIMBECK_HOST_DEVICE bool flat() const { return q_spread == 0 || p_spread == 0; }
  /// 1 - r, and its derivative by an element of q.
  LIMBECK_HOST_DEVICE double value() const { return flat() ? 1 : (1 - shrunk) + shrunk * distance / 2; }
  LIMBECK_HOST_DEVICE double slope(double q, double p) const {
    if (flat()) return 0;
    return q_spread * shrunk * (standard_q(q) - standard_p(p) - value() * standard_q(q));
  }
};

/// 1 - r of two vectors of @p n numbers that a team reads by q(i) and p(i); put(i, slope) takes the derivative by q.
template <class T, class Team, class Q, class P, class Put>
LIMBECK_HOST_DEVICE double correlate(const Team& team, std::size_t n, double epsilon, const Q& q, const P& p, const Put& put) {
  correlation_moments a;
  for_own<T>(team, n, [&](std::size_t c) { a.add(q(c), p(c)); });
  const auto add_up = [&](double& one, double& other) {
    const team_array<double, 2> sums = team.sum(team_array<double, 2>{{one, other}});
    one = sums.v[0], other = sums.v[1];
  };
  add_up(a.q_mean, a.p_mean);
  a.centre(static_cast<double>(n));
  for_own<T>(team, n, [&](std::size_t c) { a.spread(q(c), p(c)); });
  add_up(a.q_spread, a.p_spread);
  a.close(epsilon);
  for_own<T>(team, n, [&](std::size_t c) { a.compare(q(c), p(c)); });
  a.distance = sum_over(team, a.distance);
  for_own<T>(team, n, [&](std::size_t c) { put(c, a.slope(q(c), p(c))); });
  return a.value();
}
template <class T>
struct correlate_row {
  rows<T> q, p, slope;
  double weight, epsilon;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    return correlate<T>(
        team, q.classes, epsilon, [&](std::size_t c) { return static_cast<double>(q(i, c)); },
        [&](std::size_t c) { return static_cast<double>(p(i, c)); },
        [&](std::size_t c, double by) { slope(i, c) = static_cast<T>(weight * by); });
  }
};
/// A column on a device; the host takes many of them in one walk.
template <class T>
struct correlate_column {
  rows<T> q, p, slope;
  double weight, epsilon;
  double* values;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t c) const {
    const double value = correlate<T>(
        team, q.samples, epsilon, [&](std::size_t i) { return static_cast<double>(q(i, c)); },
        [&](std::size_t i) { return static_cast<double>(p(i, c)); },
        [&](std::size_t i, double by) { slope(i, c) += static_cast<T>(weight * by); });
    if (team.rank() == 0) values[c] = value;
  }
};
template <class T>
struct pull_back_softmax_row {
  rows<T> q, slope, gradient;
  double factor;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const T along = inner_product(team, q.row(i), slope.row(i), q.classes);
    add_to_row(team, gradient, i, [&](std::size_t c) {
      return static_cast<T>(factor * static_cast<double>(q(i, c) * (slope(i, c) - along)));
    });
  }
};
struct weighted_sum_of_two {
  double factor;
  const double* a;
  double other_factor;
  const double* b;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() == 0) *out = factor * *a + other_factor * *b;
  }
};

}  // namespace detail

/// beta T^2 (1 - mean over samples of r(q_i, p_i)) + gamma T^2 (1 - mean over classes of r(q_.c, p_.c)), r Pearson's
/// correlation, p = softmax(t/T) and q = softmax(s/T).
///
/// The first part compares the classes of a sample, the second the samples of a class. 1 - r is taken as half the
/// squared distance of the standardised vectors, which keeps its digits where both agree. A row or column without
/// variance (all of them, with one sample) has r = 0, as the published code gives, and no gradient. It has a
/// temperature of its own. With an epsilon, r is the covariance over (|q - mean q| |p - mean p| + epsilon).
/// O(samples x classes), memory of three times the logits.
/// @throws value_error where a row of logits has no softmax, the temperature is not positive, or epsilon is negative or
/// not finite.
///
/// Huang et al., Knowledge Distillation from A Stronger Teacher, 2022, arXiv:2205.10536, and the authors'
/// code (whose epsilon is 1e-8; the paper's formula has none).
struct dist {
  using limbeck_loss = batchwise;
  static constexpr bool into_teacher = true;
  double beta = 1, gamma = 1;  ///< weights of the parts between classes and between samples
  double temperature = 1;      ///< T, positive; the authors take 1 on ImageNet and 4 on CIFAR-100
  double epsilon = 0;          ///< added to the product of the norms, at least 0; the authors' code: 1e-8

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (!(temperature > 0) || temperature - temperature != 0)
      raise<value_error>("limbeck: dist.temperature is " + detail::show(temperature) + ", expected a positive number");
    if (!(epsilon >= 0) || epsilon - epsilon != 0)
      raise<value_error>("limbeck: dist.epsilon is " + detail::show(epsilon) + ", expected a number of at least 0");
    const std::size_t n = x.samples(), m = x.student.classes;
    if (n == 0 || m == 0) return 0;
    const rows<T> q = probabilities(x, x.student), p = probabilities(x, x.teacher);
    const rows<T> slope = detail::take_matrix(x, n, m);
    const double square = temperature * temperature;
    const double by_rows = beta * square / static_cast<double>(n), by_columns = gamma * square / static_cast<double>(m);
    const double* const between_classes = x.sum_rows(m, detail::correlate_row<T>{q, p, slope, by_rows, epsilon});
    const std::span<double> columns = x.memory.template take<double>(m);
    if constexpr (batch<T, Memory>::on_host) {
      correlate_columns(x, q, p, slope, by_columns, columns);
    } else {
      x.each_row(m, n, detail::correlate_column<T>{q, p, slope, by_columns, epsilon, columns.data()});
    }
    const double* const between_samples = x.add_up(columns);
    const double factor = static_cast<double>(x.scale) / temperature;
    if (x.wants_gradient()) x.each_row(n, m, detail::pull_back_softmax_row<T>{q, slope, x.gradient, factor});
    double* const both = x.memory.template take<double>(1).data();
    x.each_row(1, 1, detail::weighted_sum_of_two{by_rows, between_classes, by_columns, between_samples, both});
    return detail::with_teacher(*this, x, detail::finite(x, 1, both));
  }

 private:
  static constexpr std::size_t width = 64;  // columns a task of the host

  template <class T>
  void correlate_columns(const batch<T>& x, const rows<T>& q, const rows<T>& p, const rows<T>& slope, double by_columns,
                         const std::span<double>& values) const {
    using moments = detail::correlation_moments;
    const std::size_t n = q.samples, m = q.classes;
    const std::span<moments> columns = x.memory.template take<moments>(m);
    x.on((m + width - 1) / width, [&](std::size_t block, std::size_t) {
      const std::size_t from = block * width, to = (std::min)(m, from + width);
      const auto each = [&](const auto& f) {
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t c = from; c < to; ++c) f(columns[c], i, c);
      };
      for (std::size_t c = from; c < to; ++c) columns[c] = moments{};
      each([&](moments& a, std::size_t i, std::size_t c) { a.add(q(i, c), p(i, c)); });
      for (std::size_t c = from; c < to; ++c) columns[c].centre(static_cast<double>(n));
      each([&](moments& a, std::size_t i, std::size_t c) { a.spread(q(i, c), p(i, c)); });
      for (std::size_t c = from; c < to; ++c) columns[c].close(epsilon);
      each([&](moments& a, std::size_t i, std::size_t c) { a.compare(q(i, c), p(i, c)); });
      each([&](moments& a, std::size_t i, std::size_t c) {
        slope(i, c) += static_cast<T>(by_columns * a.slope(q(i, c), p(i, c)));
      });
    });
    for (std::size_t c = 0; c < m; ++c) values[c] = columns[c].value();
  }
  template <class T, class Memory>
  rows<T> probabilities(const batch<T, Memory>& x, const rows<const T>& logits) const {
    const rows<T> out = detail::take_matrix(x, logits.samples, logits.classes);
    x.each_row(logits.samples, logits.classes, detail::softmax_row<T>{logits, out, static_cast<T>(1 / temperature)});
    return out;
  }
};

LIMBECK_END_NAMESPACE

#endif
