#ifndef LIMBECK_LOSS_LOGITS_ADAPTIVE_KL_HPP
#define LIMBECK_LOSS_LOGITS_ADAPTIVE_KL_HPP

/// @file
/// Adaptive KL (AKL): the forward KL where the head of a row is wrong, the reverse KL where its tail is.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/engine/team_row.hpp>

#include <cmath>
#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
/// The classes of the highest probability, as many as have a mass of at most some, and the first one anyway: those above a
/// boundary, and a share of those on it.
template <class T>
struct head_of_row {
  T boundary;
  double share;
  LIMBECK_HOST_DEVICE double operator()(T p) const { return p > boundary ? 1 : p == boundary ? share : 0; }
};
/// Of @p n probabilities, of which each thread reads its own. The boundary is the largest of them down to
/// which the mass exceeds @p mass. It is found by halving, for a row in order costs more. O(n) a step, tens of steps at most.
template <class T, class Team>
LIMBECK_HOST_DEVICE head_of_row<T> find_head(const Team& team, const T* p, std::size_t n, double mass) {
  T low = 0, next = 0;  // the boundary lies between: down to low it is too much, above next it fits
  double above = 0;     // the mass of what is above next
  for_own<T>(team, n, [&](std::size_t i) { next = p[i] > next ? p[i] : next; });
  next = highest_over(team, next);
  for (T from = next; low < next;) {
    T least = 2, below = -1;  // the lowest of those from here on, the highest of the others
    double sum = 0;
    for_own<T>(team, n, [&](std::size_t i) {
      const bool counts = p[i] >= from;
      sum += counts ? static_cast<double>(p[i]) : 0;
      least = counts && p[i] < least ? p[i] : least;
      below = !counts && p[i] > below ? p[i] : below;
    });
    sum = sum_over(team, sum);
    if (sum > mass) {
      low = -highest_over(team, -least);
    } else {
      next = highest_over(team, below), above = sum;
    }
    const T half = low + (next - low) / 2;
    from = half > low ? half : next;
  }
  const double ties = sum_own<T, double>(team, n, [&](std::size_t i) { return p[i] == next ? 1 : 0; });
  // what meets the mass but for rounding fits
  const double fit = std::floor((mass - above) / static_cast<double>(next) * (1 + 1e-6)), first = above > 0 ? 0 : 1;
  return {next, (fit > first ? fit : first) / ties};
}
}  // namespace detail
/// @endcond

/// w KL(p || q) + (1 - w) KL(q || p), w the share of the head in sum |p - q|, held fixed: p = softmax(t/T) is the teacher, q =
/// softmax(s/T) the student.
///
/// The head are the teacher's most likely classes as long as their probabilities add up to `head` at most, and the first in any
/// case; equal classes that only some of would be in it are in it by that share. A student that is wrong about the head learns as by
/// the forward KL, one that is wrong about the tail as by the reverse KL. 0 where p = q. +inf where one side alone masks a class
/// and its KL has a weight. Multiplied by T^2. Taken in double, in float too: close rows lose digits in double, as 1e-16 of the
/// distance. O(C) a row, the head by halving.
///
/// Wu et al., Rethinking Kullback-Leibler Divergence in Knowledge Distillation for Large Language Models, 2024,
/// arXiv:2404.02657. As in their code: the class at which the sum passes `head` belongs to the tail. Theirs gives NaN where p = q,
/// and has no temperature.
struct adaptive_kl {
  using limbeck_loss = rowwise;
  static constexpr int temperature_power = 2;
  static constexpr std::size_t scratch_rows = 1;
  double head = 0.5;  ///< probability of the head, in (0, 1)

  void check() const {
    if (!(head > 0 && head < 1)) raise<value_error>("limbeck: adaptive_kl.head is " + detail::show(head) + ", expected a fraction in (0, 1)");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const std::size_t n = x.student.size();
    const log_softmax<T> log_p(x.team, x.teacher, x.teacher_temperature), log_q(x.team, x.student, x.student_temperature);
    const auto stored = x.scratch.first(n);
    detail::for_own<T>(x.team, n, [&](std::size_t i) { stored[i] = static_cast<T>(std::exp(log_p(i))); });
    const auto in_head = detail::find_head(x.team, stored.data(), n, head);
    double in = 0, all = 0, forward = 0, reverse = 0, lost = 0, leaked = 0;
    detail::for_own<T>(x.team, n, [&](std::size_t i) {
      const at_class c(log_p(i), log_q(i));
      in += in_head(stored[i]) * std::fabs(c.difference), all += std::fabs(c.difference);
      forward += c.excess, reverse += -c.excess - c.difference * c.ratio;
      lost += c.p > 0 && log_q(i) == -infinity, leaked += c.q > 0 && log_p(i) == -infinity;
    });
    in = x.sum(in), all = x.sum(all), forward = x.sum(forward), reverse = x.sum(reverse), lost = x.sum(lost), leaked = x.sum(leaked);
    const double w = all > 0 ? in / all : 0;
    if ((lost > 0 && w > 0) || (leaked > 0 && w < 1)) return static_cast<T>(infinity);
    if (!x.gradient.empty()) {
      const double scale = static_cast<double>(x.scale) / static_cast<double>(x.student_temperature);
      x.each_own([&](std::size_t i) {
        const at_class c(log_p(i), log_q(i));
        x.gradient[i] += static_cast<T>(scale * (w * c.difference - (1 - w) * c.q * (c.ratio + reverse)));
      });
    }
    return static_cast<T>(w * forward + (1 - w) * reverse);
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  template <class T>
  struct log_softmax {
    std::span<const T> x;
    double inverse_t, top, log_z;
    template <class Team>
    LIMBECK_HOST_DEVICE log_softmax(const Team& team, std::span<const T> logits, T temperature)
        : x(logits), inverse_t(1 / static_cast<double>(temperature)),
          top(static_cast<double>(detail::highest_in(team, logits.data(), logits.size()))), log_z(0) {
      log_z = std::log(detail::sum_own<T, double>(team, x.size(), [&](std::size_t i) { return std::exp((*this)(i)); }));
    }
    LIMBECK_HOST_DEVICE double operator()(std::size_t i) const { return (static_cast<double>(x[i]) - top) * inverse_t - log_z; }
  };
  /// q - p and p log(p/q) - p + q with their digits; a class that a side masks is at a finite distance.
  struct at_class {
    double p, q, ratio, difference, excess;
    LIMBECK_HOST_DEVICE at_class(double log_p, double log_q) : p(std::exp(log_p)), q(std::exp(log_q)), ratio(0), difference(q - p), excess(0) {
      if (log_p > -infinity && log_q > -infinity) ratio = log_p - log_q;
      const bool close = std::fabs(ratio) < 0.5 && log_p > -infinity && log_q > -infinity;
      if (close) difference = p * std::expm1(-ratio);
      excess = close ? p * tail(ratio) : p * ratio + difference;
    }
    /// exp(-r) - 1 + r.
    LIMBECK_HOST_DEVICE static double tail(double r) {
      using X = pack<scalar_lanes<double>>;
      return r * r * detail::exp_excess_ratio(X(r)).v;
    }
  };
};

LIMBECK_END_NAMESPACE

#endif
