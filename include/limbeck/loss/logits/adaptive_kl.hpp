#ifndef LIMBECK_LOSS_LOGITS_ADAPTIVE_KL_HPP
#define LIMBECK_LOSS_LOGITS_ADAPTIVE_KL_HPP

/// @file
/// Adaptive KL (AKL): the forward KL where the head of a row is wrong, the reverse KL where its tail is.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/point.hpp>
#include <limbeck/loss/row_loops.hpp>

#include <cmath>
#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
/// The classes of the highest powers, as many as have a mass of at most some, and the first one anyway: those above a
/// boundary, and a share of those on it.
struct head_of_row {
  double boundary, share;
  /// What of @p v is in the head, of classes of the powers @p x.
  template <class X>
  LIMBECK_INLINE X part(const X& x, const X& v) const {
    const X down_to = select(x < boundary, x - x, share * v);
    return select(x > boundary, v, down_to);
  }
};
/// Of @p n powers of which the highest is 1, the sum @p total, and each thread reads its own. The boundary is the largest of them
/// down to which the mass exceeds @p share of the total. It is found by halving (of exponents, where it may be far), for a row in
/// order costs more. O(n) a step, tens of steps at most; a thread that is alone gathers in @p memory those that are left.
template <class T, class Team>
LIMBECK_HOST_DEVICE head_of_row find_head(const Team& team, const T* powers, std::size_t n, double total, double share,
                                          [[maybe_unused]] T* memory) {
  const double mass = share * total;
  // The boundary lies between: down to low it is too much, for all below are less than the rest, and above next it fits.
  T low = static_cast<T>((total - mass) / (2 * static_cast<double>(n))), next = 1;
  double above = 0;  // the mass of what is above next
  while (low < next) {
    if constexpr (Team::alone) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const T x = powers[i];
        memory[kept] = x;
        kept += static_cast<std::size_t>(x >= low) & static_cast<std::size_t>(x <= next);
      }
      powers = memory, n = kept;
    }
    const T middle = std::sqrt(low * next), from = middle > low && middle < next ? middle : next;
    T least = 2, below = -1;  // the lowest of those from here on, the highest of the others
    double held = 0;           // of those from here to next
    for_own<T>(team, n, [&](std::size_t i) {
      const T x = powers[i];
      const T fits = x <= next ? x : T(0), higher = x >= from ? x : T(2), lower = x >= from ? T(-1) : x;
      held += static_cast<double>(x >= from ? fits : T(0));
      least = higher < least ? higher : least;
      below = lower > below ? lower : below;
    });
    held = sum_over(team, held);
    if (above + held > mass) {
      low = -highest_over(team, -least);
    } else {
      above += held, next = highest_over(team, below);
    }
  }
  const double ties = sum_own<T, double>(team, n, [&](std::size_t i) { return powers[i] == next ? 1 : 0; });
  // what meets the mass but for rounding fits
  const double fit = next > T(0) ? std::floor((mass - above) / static_cast<double>(next) * (1 + 1e-6)) : 0, first = above > 0 ? 0 : 1;
  return {static_cast<double>(next), (fit > first ? fit : first) / ties};
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
/// distance; the probabilities themselves are kept in the type of the row. O(C) a row, the head by halving.
///
/// Wu et al., Rethinking Kullback-Leibler Divergence in Knowledge Distillation for Large Language Models, 2024,
/// arXiv:2404.02657. As in their code: the class at which the sum passes `head` belongs to the tail. Theirs gives NaN where p = q,
/// and has no temperature.
struct adaptive_kl {
  using limbeck_loss = rowwise;
  static constexpr int temperature_power = 2;
  static constexpr std::size_t scratch_rows = 3;
  double head = 0.5;  ///< probability of the head, in (0, 1)

  void check() const {
    if (!(head > 0 && head < 1)) raise<value_error>("limbeck: adaptive_kl.head is " + detail::show(head) + ", expected a fraction in (0, 1)");
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    const std::size_t n = x.student.size();
    T* const memory = x.scratch.data();
    side<T> p(x.team, x.teacher, x.teacher_temperature, memory),
        q(x.team, x.student, x.student_temperature, memory + n);
    const auto take = [&]<class Lanes>(pack<Lanes>* total, std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
      total[0] += p.template take_powers<Lanes>(at, count), total[1] += q.template take_powers<Lanes>(at, count);
    };
    const auto totals = detail::totals_in_double<T, 2>(x.team, n, take);
    p.total = totals.v[0], q.total = totals.v[1];
    const double log_totals = std::log(p.total / q.total);
    const auto in_head = detail::find_head(x.team, p.powers, n, p.total, head, memory + 2 * n);
    // |p - q| of the head and of all, both KLs, what the student masks of p and the teacher of q
    const auto add = [&]<class Lanes>(pack<Lanes>* total, std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
      using X = pack<Lanes>;
      const auto c = at_class<Lanes>(p, q, log_totals, at, count);
      const X apart = abs(c.difference), zero = c.p - c.p;
      total[0] += in_head.part(detail::load_doubles<Lanes>(p.powers + at, count, T(0)), apart), total[1] += apart;
      total[2] += c.excess, total[3] += reverse_excess(c);
      total[4] += select(c.log_q < lowest, c.p, zero), total[5] += select(c.log_p < lowest, c.q, zero);
    };
    const auto sums = detail::totals_in_double<T, 6>(x.team, n, add);
    const double w = sums.v[1] > 0 ? sums.v[0] / sums.v[1] : 0, forward = sums.v[2], reverse = sums.v[3];
    if ((sums.v[4] > 0 && w > 0) || (sums.v[5] > 0 && w < 1)) return std::numeric_limits<T>::infinity();
    if (!x.gradient.empty()) {
      const double scale = static_cast<double>(x.scale) / static_cast<double>(x.student_temperature);
      detail::on_double_lanes(x.team, [&]<class Lanes>(Lanes) LIMBECK_LAMBDA_INLINE {
        detail::each_double_pack<Lanes, T>(x.team, n, [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
          const auto c = at_class<Lanes>(p, q, log_totals, at, count);
          const auto slope = w * c.difference - (1 - w) * (c.q * (c.log_ratio + reverse));
          detail::store_doubles<true>(x.gradient.data() + at, count, scale * slope);
        });
      });
    }
    return static_cast<T>(w * forward + (1 - w) * reverse);
  }

 private:
  static constexpr double lowest = std::numeric_limits<double>::lowest();  ///< only what is masked is below it

  /// A softmax, whose powers are kept: the highest is 1, and their sum is the total.
  template <class T>
  struct side {
    const T* logits;
    T* powers;
    double inverse_t, top, total = 1;
    template <class Team>
    LIMBECK_HOST_DEVICE side(const Team& team, std::span<const T> x, T temperature, T* memory)
        : logits(x.data()), powers(memory), inverse_t(1 / static_cast<double>(temperature)),
          top(static_cast<double>(detail::largest(team, logits, x.size()))) {}
    template <class Lanes>
    LIMBECK_INLINE pack<Lanes> logarithm(std::size_t at, std::size_t count) const {
      const auto x = detail::load_doubles<Lanes>(logits + at, count, -std::numeric_limits<T>::infinity());
      return smaller(pack<Lanes>(0), (x - top) * inverse_t);  // no bare product: fused with the other's, equal sides would differ
    }
    template <class Lanes>
    LIMBECK_INLINE pack<Lanes> take_powers(std::size_t at, std::size_t count) const {
      const auto e = detail::exp2_negative(logarithm<Lanes>(at, count) * detail::log2e);
      detail::store_doubles<false>(powers + at, count, e);
      return e;
    }
    template <class Lanes>
    LIMBECK_INLINE pack<Lanes> probability(std::size_t at, std::size_t count) const {
      return detail::load_doubles<Lanes>(powers + at, count, T(0)) * (1 / total);
    }
  };
  /// Both sides at a class, with their digits; one that a side masks counts as at a finite distance.
  template <class Lanes, class T>
  LIMBECK_INLINE static point<pack<Lanes>> at_class(const side<T>& p, const side<T>& q, double log_totals, std::size_t at,
                                                    std::size_t count) {
    using X = pack<Lanes>;
    point<X> c{};
    c.p = p.template probability<Lanes>(at, count), c.q = q.template probability<Lanes>(at, count);
    c.log_p = p.template logarithm<Lanes>(at, count), c.log_q = q.template logarithm<Lanes>(at, count);
    const X ratio = (c.log_p - c.log_q) - log_totals;
    c.log_ratio = select(abs(ratio) < std::numeric_limits<double>::infinity(), ratio, X(1));
    detail::set_differences(c);
    return c;
  }
};

LIMBECK_END_NAMESPACE

#endif
