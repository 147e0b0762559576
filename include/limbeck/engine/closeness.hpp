#ifndef LIMBECK_ENGINE_CLOSENESS_HPP
#define LIMBECK_ENGINE_CLOSENESS_HPP

/// @file
/// Student and teacher at one class: log p - log q with its digits, however close the two rows are and wherever each lies.
///
/// log p - log q = d - kappa, where d is t - s, less the difference of their maxima, over T (`gap`), and kappa is
/// log z_t - log z_s. Where the rows are close, the normalisers' rounding would drown kappa; but then probabilities that
/// follow from it do not sum to the same, by as much as it is wrong, and that sum is taken with its digits
/// (`residuals`). Nothing is assumed of the classes: they may be masked on either side, or far apart where there is little
/// probability.

#include <limbeck/engine/statistics.hpp>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// The clamped logits of every tensor and domain at one position.
template <class Plan, class X, class Position>
LIMBECK_INLINE void read_logits(const Position& at, X* logits) {
  for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
    logits[Index] = larger(X(masked_logit<typename X::scalar>), at.template raw_logit<typename M::who, typename M::domain>());
  });
}

/// From where each tensor of a pair is measured, so that (t - a) - (s - b) is exact wherever t and s are close: a row whose
/// logits are all of about one size, from its maximum, which takes no digit of any; if not both are such, a coarse
/// difference of the maxima is taken off the side where it is less of a change, and t - s does the rest. Then a class of
/// which the other side is by far the larger is right to half an ulp of that.
/// @p lowest are the lowest unmasked logits, of student and teacher.
template <class Plan, class T>
LIMBECK_INLINE void set_origins(row_numbers<T, Plan>& n, T lowest_student, T lowest_teacher) {
  const auto size = [](T x) { return x < T(0) ? -x : x; };
  const auto steady = [](T low, T high) { return high > T(0) ? low + low >= high : low >= high + high; };
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    const T t = n.maximum[Plan::maxima::template index<typename P::teacher::maximum>()];
    const T s = n.maximum[Plan::maxima::template index<typename P::student::maximum>()];
    T a(0), b(0);
    if (steady(lowest_student, s) && steady(lowest_teacher, t)) {
      a = t, b = s;
    } else {
      T largest = size(t);
      const auto include = [&](T x) LIMBECK_LAMBDA_INLINE { largest = largest < size(x) ? size(x) : largest; };
      include(s), include(lowest_student), include(lowest_teacher);
      const T coarse = T(6) * largest, between = ((t - s) + coarse) - coarse;
      (size(t) < size(s) ? b : a) = size(t) < size(s) ? -between : between;
    }
    n.teacher_origin[J] = a;
    n.student_origin[J] = b;
    n.shift[J] = (t - a) - (s - b);
  });
}

/// t/T_t - s/T_s of a pair, less those of their maxima; right to the last digit where rows and temperatures are close.
template <class Pair, class Plan, class X>
LIMBECK_INLINE X gap(const row_numbers<X, Plan>& n, const X* logits) {
  constexpr auto s = Plan::maxima::template index<typename Pair::student::maximum>();
  constexpr auto t = Plan::maxima::template index<typename Pair::teacher::maximum>();
  constexpr auto ts = Plan::slot_keys::template index<typename Pair::student::slot>();
  constexpr auto tt = Plan::slot_keys::template index<typename Pair::teacher::slot>();
  constexpr auto j = Plan::pairs::template index<Pair>();
  const X apart = ((logits[t] - n.teacher_origin[j]) - (logits[s] - n.student_origin[j])) - n.shift[j];
  if constexpr (Pair::one_temperature) {
    return apart * n.inverse_t[ts];
  } else {  // two temperatures may be equal, or nearly
    return apart * n.inverse_t[tt] + (logits[s] - n.maximum[s]) * (n.inverse_t[tt] - n.inverse_t[ts]);
  }
}

/// log softmax at one position.
template <class K, class Plan, class X>
LIMBECK_INLINE X log_softmax(const row_numbers<X, Plan>& n, const X* logits) {
  constexpr auto m = Plan::maxima::template index<typename K::maximum>();
  return (logits[m] - n.maximum[m]) * n.inverse_t[Plan::slot_keys::template index<typename K::slot>()] -
         n.log_z[Plan::softmaxes::template index<K>()];
}

/// The student at one position, for what reads no teacher.
template <class K, class Plan, class X>
LIMBECK_INLINE point<X> student_point(const row_numbers<X, Plan>& n, const X* logits, const X* e) {
  constexpr auto s = Plan::softmaxes::template index<K>();
  point<X> x{};
  x.q = e[s] * n.inverse_z[s];
  x.log_q = log_softmax<K>(n, logits);
  return x;
}

/// Student and teacher at one position.
template <class P, class Plan, class X>
LIMBECK_INLINE point<X> point_of(const row_numbers<X, Plan>& n, const X* logits, const X* e) {
  constexpr auto s = Plan::softmaxes::template index<typename P::student>();
  constexpr auto t = Plan::softmaxes::template index<typename P::teacher>();
  point<X> x;
  x.q = e[s] * n.inverse_z[s];
  x.p = e[t] * n.inverse_z[t];
  x.log_q = log_softmax<typename P::student>(n, logits);
  x.log_p = log_softmax<typename P::teacher>(n, logits);
  x.log_ratio = gap<P>(n, logits) - n.kappa[Plan::pairs::template index<P>()];
  set_differences(x);
  return x;
}

/// Whether the total variation of a pair may be so small that kappa, from the normalisers, would lose digits. Two lower bounds
/// of it cost nothing: sum max(e_t, e_s) / max(z_t, z_s) - 1, and the difference of the highest probabilities, 1/z.
template <class Plan, class T>
LIMBECK_INLINE bool is_close(const row_numbers<T, Plan>& n, const exponential_sums<T, Plan>& sums) {
  constexpr T bound = sizeof(T) == 4 ? T(1.0 / 64) : T(1.0 / 512);
  bool any = false;
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    constexpr auto s = Plan::softmaxes::template index<typename P::student>();
    constexpr auto t = Plan::softmaxes::template index<typename P::teacher>();
    const T larger_z = sums.z(s) < sums.z(t) ? sums.z(t) : sums.z(s);
    const T highest = n.inverse_z[s] - n.inverse_z[t];
    any = any || (sums.larger_of(J) < larger_z * (1 + bound) && highest < bound && -highest < bound);
  });
  return any;
}

/// Of rows that are close, at one position: q - p of every pair, which sum to 0 where kappa is right.
template <class Plan, class X, class Position>
LIMBECK_INLINE void residuals(const row_numbers<X, Plan>& n, const Position& at, const X* e, residual_sums<X, Plan>& sums) {
  X logits[at_least_one(Plan::maxima::size)];
  read_logits<Plan>(at, logits);
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    sums.sum[J] += point_of<P>(n, logits, e).difference;
  });
}

/// Once a row: what is left of sum q - sum p is exp(kappa - true kappa) - 1.
template <class Plan, class T>
LIMBECK_INLINE void correct(row_numbers<T, Plan>& n, const residual_sums<T, Plan>& sums) {
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    const pack<scalar_lanes<T>> over(sums.sum[J]);
    n.kappa[J] -= (over - log1p_excess(over)).v;
  });
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
