#ifndef LIMBECK_LOSS_LOGITS_BILD_HPP
#define LIMBECK_LOSS_LOGITS_BILD_HPP

/// @file
/// Bi-directional logits difference: the differences between the highest logits of a row, as a distribution.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/engine/top_classes.hpp>

#include <cmath>
#include <limits>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Whose highest classes a loss of the top looks at.
enum class lead { both, teacher, student };

namespace detail {

/// A side's differences between classes in the order of the leader, over its temperature, as a distribution over pairs i < j.
template <class T>
struct pair_softmax {
  const T *x, *order;
  double inverse;                 ///< of the temperature
  std::size_t high = 0, low = 0;  ///< the pair of the largest difference
  double top = 0;                 ///< that difference
  double total = 1;               ///< of exp(difference - top)

  LIMBECK_HOST_DEVICE double logit(std::size_t i) const { return static_cast<double>(x[static_cast<std::size_t>(order[i])]); }
  LIMBECK_HOST_DEVICE double difference(std::size_t i, std::size_t j) const { return (logit(i) - logit(j)) * inverse; }
  LIMBECK_HOST_DEVICE double power(std::size_t i, std::size_t j) const {
    using X = pack<scalar_lanes<double>>;
    return exp2_negative(X((difference(i, j) - top) * log2e)).v;
  }
  /// False where the side masks one of the @p count classes; else finds `top`.
  LIMBECK_HOST_DEVICE bool take_top(std::size_t count) {
    top = -std::numeric_limits<double>::infinity();
    for (std::size_t j = 0, highest = 0; j < count; ++j) {
      if (!(logit(j) > -std::numeric_limits<double>::infinity())) return false;
      if (j > 0 && difference(highest, j) > top) top = difference(highest, j), high = highest, low = j;
      if (logit(j) > logit(highest)) highest = j;
    }
    return true;
  }
};

/// Where the falling probabilities of the first @p count classes of a side bend most, counted: the place of the largest distance
/// below the line from the first to the last (Kneedle), and at least 3, for two classes are one pair.
template <class T>
LIMBECK_HOST_DEVICE std::size_t knee_of(const pair_softmax<T>& side, std::size_t count) {
  const double last = std::exp(-side.difference(0, count - 1)), range = 1 - last;
  std::size_t knee = 0;
  double most = 0;
  for (std::size_t i = 1; i + 1 < count; ++i) {
    const double height = (std::exp(-side.difference(0, i)) - last) / range;
    const double below = 1 - static_cast<double>(i) / static_cast<double>(count - 1) - height;
    if (below > most) most = below, knee = i;
  }
  if (knee == 0) return count;  // a line bends nowhere
  return knee + 1 < 3 ? 3 : knee + 1;
}

}  // namespace detail

/// BiLD: KL(P, Q) over the pairs i < j of the k highest classes, P = softmax over pairs of (t_i - t_j)/T, Q the same of the
/// student, classes by falling logit of the leader; the sum of the loss led by the teacher and of that led by the student.
///
/// The leader's choice and order are held fixed, of equal logits the lowest class comes first. Unchanged by a constant added to
/// either side. Three classes at least make a loss: two have one pair. Where the leader masks classes there are fewer than k; +inf
/// where the other side masks one of them. Multiplied by T^2. C <= 2^24 in float. O(C + k^2) a row on the host,
/// no memory of k^2.
///
/// Li, Chen, Dong and Song, BiLD: Bi-directional Logits Difference Loss for Large Language Model Distillation, 2024,
/// arXiv:2406.13555, and the authors' code, whose k is 8 and T 3, without T^2: `at_temperature(3.0, unscaled(bild{}))`.
///
/// `knee` and `reverse` are what is known of Switch-KD's dynamic form (DBiLD; Sun et al., 2026, arXiv:2604.14629): its authors'
/// README says "adaptive top-k by Kneedle" and "reverse KL". Its equations were not read, and its retellings disagree whether the
/// softmax is over differences, as here, or over logits. The knee is Kneedle's of the leader's k highest probabilities (Satopaa
/// et al., Finding a "Kneedle" in a Haystack, 2011).
struct bild {
  using limbeck_loss = rowwise;
  static constexpr int temperature_power = 2;
  static constexpr std::size_t scratch_rows = 2;
  std::size_t k = 8;          ///< the highest classes, at least 2; all where there are no more
  lead leader = lead::both;   ///< whose: of both sides a loss each, which are added
  bool reverse = false;       ///< KL(Q, P) in the place of KL(P, Q)
  bool knee = false;          ///< k is the most; a row has as many as are before the knee of its probabilities

  void check() const {
    if (k < 2) raise<value_error>("limbeck: bild.k is " + std::to_string(k) + ", expected at least 2");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    double value = 0;
    if (leader != lead::student) value += led(x, x.teacher.data(), x.teacher_temperature);
    if (leader == lead::both) x.team.wait();  // for the scratch, and for gradients of classes that both lead to
    if (leader != lead::teacher) value += led(x, x.student.data(), x.student_temperature);
    return static_cast<T>(value);
  }

 private:
  template <class T, class Team>
  LIMBECK_HOST_DEVICE double led(const row<T, Team>& x, const T* by, T temperature) const {
    using X = pack<scalar_lanes<double>>;
    constexpr T masked = -std::numeric_limits<T>::infinity();
    const std::size_t n = x.student.size();
    T* const order = x.scratch.data();
    std::size_t count = detail::list_highest(x.team, by, n, k < n ? k : n, masked, order);
    if (count < 3) return 0;
    if (knee) count = detail::knee_of(detail::pair_softmax<T>{by, order, 1 / static_cast<double>(temperature)}, count);
    detail::pair_softmax<T> p{x.teacher.data(), order, 1 / static_cast<double>(x.teacher_temperature)};
    detail::pair_softmax<T> q{x.student.data(), order, 1 / static_cast<double>(x.student_temperature)};
    if (!p.take_top(count) || !q.take_top(count)) return std::numeric_limits<double>::infinity();

    detail::team_array<double, 2> totals{};
    detail::for_own<T>(x.team, count, [&](std::size_t i) {
      for (std::size_t j = i + 1; j < count; ++j) totals.v[0] += p.power(i, j), totals.v[1] += q.power(i, j);
    });
    totals = x.team.sum(totals);
    p.total = totals.v[0], q.total = totals.v[1];
    // log p - log q is gap - kappa; gaps are counted from that of the student's surest pair, where its own slope would cancel
    const double origin = p.difference(q.high, q.low) - q.top;
    const double kappa = p.top - q.top - origin + std::log(p.total / q.total);
    const auto gap = [&](std::size_t i, std::size_t j) { return p.difference(i, j) - q.difference(i, j) - origin; };
    const auto at = [&](std::size_t i, std::size_t j) {
      point<X> y{};
      y.p = X(p.power(i, j) / p.total), y.q = X(q.power(i, j) / q.total);
      y.log_ratio = X(gap(i, j) - kappa);
      detail::set_differences(y);
      return y;
    };
    detail::team_array<double, 2> sums{};  // the value, the student's mean gap
    detail::for_own<T>(x.team, count, [&](std::size_t i) {
      for (std::size_t j = i + 1; j < count; ++j) {
        const auto y = at(i, j);
        sums.v[0] += (reverse ? reverse_excess(y) : y.excess).v, sums.v[1] += y.q.v * gap(i, j);
      }
    });
    sums = x.team.sum(sums);
    if (x.gradient.empty()) return sums.v[0];
    const auto slope = [&](std::size_t i, std::size_t j) {  // of the value by the student's difference
      const auto y = at(i, j);
      return reverse ? y.q.v * (sums.v[1] - gap(i, j)) : y.difference.v;
    };
    const double scale = static_cast<double>(x.scale) * q.inverse;
    detail::for_own<T>(x.team, count, [&](std::size_t i) {
      double along = 0;
      for (std::size_t j = 0; j < i; ++j) along -= slope(j, i);
      for (std::size_t j = i + 1; j < count; ++j) along += slope(i, j);
      x.gradient[static_cast<std::size_t>(order[i])] += static_cast<T>(scale * along);
    });
    return sums.v[0];
  }
};

LIMBECK_END_NAMESPACE

#endif
