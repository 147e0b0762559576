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
  double beta = 1, gamma = 1;  ///< weights of the parts between classes and between samples
  double temperature = 1;      ///< T, positive; the authors take 1 on ImageNet and 4 on CIFAR-100
  double epsilon = 0;          ///< added to the product of the norms, at least 0; the authors' code: 1e-8

  template <class T>
  double operator()(const batch<T>& x) const {
    if (!(temperature > 0) || temperature - temperature != 0)
      raise<value_error>("limbeck: dist.temperature is " + detail::show(temperature) + ", expected a positive number");
    if (!(epsilon >= 0) || epsilon - epsilon != 0)
      raise<value_error>("limbeck: dist.epsilon is " + detail::show(epsilon) + ", expected a number of at least 0");
    const std::size_t n = x.samples(), m = x.student.classes;
    if (n == 0 || m == 0) return 0;
    const rows<T> q = probabilities(x, x.student), p = probabilities(x, x.teacher);
    const rows<T> slope(x.memory.template take<T>(n * m).data(), n, m);
    const double square = temperature * temperature;
    const double by_rows = beta * square / static_cast<double>(n), by_columns = gamma * square / static_cast<double>(m);
    const double between_classes = detail::sum_rows(x, [&](std::size_t i, std::size_t) {
      moments a;
      for (std::size_t c = 0; c < m; ++c) a.add(q(i, c), p(i, c));
      a.centre(static_cast<double>(m));
      for (std::size_t c = 0; c < m; ++c) a.spread(q(i, c), p(i, c));
      a.close(epsilon);
      for (std::size_t c = 0; c < m; ++c) a.compare(q(i, c), p(i, c));
      for (std::size_t c = 0; c < m; ++c) slope(i, c) = static_cast<T>(by_rows * a.slope(q(i, c), p(i, c)));
      return a.value();
    });
    constexpr std::size_t width = 64;  // columns a task
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
    double between_samples = 0;
    for (const moments& a : columns) between_samples += a.value();
    const double factor = static_cast<double>(x.scale) / temperature;
    if (x.wants_gradient())
      x.on(n, [&](std::size_t i, std::size_t) {
        const T along = detail::inner_product(q.row(i), slope.row(i), m);
        detail::add_to_row(x.gradient, i, [&](std::size_t c) {
          return static_cast<T>(factor * static_cast<double>(q(i, c) * (slope(i, c) - along)));
        });
      });
    return detail::finite(x, by_rows * between_classes + by_columns * between_samples);
  }

 private:
  /// Two vectors, an element at a time: means, then deviations, then the squared distance of the standardised.
  struct moments {
    double q_mean = 0, p_mean = 0, q_spread = 0, p_spread = 0, distance = 0, shrunk = 1;
    void add(double q, double p) { q_mean += q, p_mean += p; }
    void centre(double size) { q_mean /= size, p_mean /= size; }
    void spread(double q, double p) {
      q_spread += (q - q_mean) * (q - q_mean);
      p_spread += (p - p_mean) * (p - p_mean);
    }
    /// From here on q_spread and p_spread are 1 / sqrt of what they were, or 0 where that is rounding; r is shrunk by what is @p added.
    void close(double added) {
      q_spread = inverse(q_spread, q_mean);
      p_spread = inverse(p_spread, p_mean);
      shrunk = 1 / (1 + added * q_spread * p_spread);
    }
    static double inverse(double spread, double average) {
      return spread <= 1e-28 * average * average ? 0 : 1 / std::sqrt(spread);
    }
    double standard_q(double q) const { return (q - q_mean) * q_spread; }
    double standard_p(double p) const { return (p - p_mean) * p_spread; }
    void compare(double q, double p) {
      const double d = standard_q(q) - standard_p(p);
      distance += d * d;
    }
    bool flat() const { return q_spread == 0 || p_spread == 0; }
    /// 1 - r, and its derivative by an element of q.
    double value() const { return flat() ? 1 : (1 - shrunk) + shrunk * distance / 2; }
    double slope(double q, double p) const {
      if (flat()) return 0;
      return q_spread * shrunk * (standard_q(q) - standard_p(p) - value() * standard_q(q));
    }
  };

  template <class T>
  rows<T> probabilities(const batch<T>& x, const rows<const T>& logits) const {
    const rows<T> out(x.memory.template take<T>(logits.samples * logits.classes).data(), logits.samples,
                      logits.classes);
    x.on(logits.samples, [&](std::size_t i, std::size_t) {
      T* const row = out.row(i);
      const T by = static_cast<T>(1 / temperature);
      for (std::size_t c = 0; c < logits.classes; ++c) row[c] = logits(i, c) * by;
      const T total = detail::exponentials(row, logits.classes, detail::largest(row, logits.classes));
      for (std::size_t c = 0; c < logits.classes; ++c) row[c] /= total;
    });
    return out;
  }
};

LIMBECK_END_NAMESPACE

#endif
