#ifndef LIMBECK_ENGINE_DEVIATION_HPP
#define LIMBECK_ENGINE_DEVIATION_HPP

/// @file
/// The deviation of a row's logits as a temperature: its sums, and what the gradient has of it.

#include <limbeck/engine/row.hpp>
#include <limbeck/temperature/standardized.hpp>

#include <cmath>
#include <limits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Mean and deviation of the logits of one side that are not masked.
template <class T>
struct deviation_of_row {
  T count, mean, deviation;
};
template <class T>
struct row_deviations {
  deviation_of_row<T> student, teacher;
};

/// Over the unmasked classes: their number, and their logits from an origin, and the squares of these.
template <class V>
struct deviation_sums {
  static constexpr std::size_t size = 3;
  template <std::size_t K>
  static constexpr bool active = true;
  V sum[size];
};

template <class X>
LIMBECK_INLINE void add_deviation(const X& x, const X& origin, deviation_sums<X>& sums) {
  using T = typename X::scalar;
  const auto counts = X(masked_logit<T>) < x;  // what is no number is found by the softmax
  const X d = select(counts, x - origin, X(T(0)));
  sums.sum[0] += select(counts, X(T(1)), X(T(0)));
  sums.sum[1] += d;
  sums.sum[2] += d * d;
}

/// From two passes, pass(origin) -> sums: the second is from the mean of the first, whose rounding it takes away.
template <class Pass>
LIMBECK_INLINE auto deviation_from(Pass&& pass) {
  const auto first = pass(0);
  using T = std::remove_cvref_t<decltype(first.sum[0])>;
  deviation_of_row<T> d{};
  d.count = first.sum[0];
  if (!(d.count > 0)) return d;
  const T about = first.sum[1] / d.count;
  const auto second = pass(about);
  const T off = second.sum[1] / d.count;
  d.mean = about + off;
  const T squares = second.sum[2] - off * second.sum[1];
  d.deviation = d.count > 1 ? std::sqrt(squares < 0 ? T(0) : squares / (d.count - 1)) : T(0);
  if (!(d.deviation < std::numeric_limits<T>::infinity())) d.deviation = std::numeric_limits<T>::quiet_NaN();
  return d;
}

/// 1 / (eps + std).
template <class T>
LIMBECK_INLINE T per_deviation(const deviation_of_row<T>& d) {
  return static_cast<T>(1 / (standardized_temperature<double>::epsilon + static_cast<double>(d.deviation)));
}

/// Temperatures that were given in deviations become numbers; the factor T^k stays.
template <class Plan, class T>
LIMBECK_INLINE void standardize(row_numbers<T, Plan>& n, const row_deviations<T>& d) {
  const T student = per_deviation(d.student), teacher = per_deviation(d.teacher);
  for_each_key(typename Plan::slot_keys{}, [&]<class Slot, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
    if constexpr (is_deviation<Slot>) {
      const T by = is_deviation_of<Slot, student_side> ? student : teacher;
      n.inverse_t[Index] *= by;
      n.exponent_scale[Index] *= by;
    }
  });
  for_each_index<Plan::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
    using Term = typename Plan::template term_at<k>;
    if constexpr (is_deviation<typename Term::student_slot>) n.flow_weight[k] *= student;
    if constexpr (is_deviation<typename Term::teacher_slot>) n.teacher_weight[k] *= teacher;
  });
}

/// What the gradient has of the student's deviation: g_i += slope (s_i - mean), with
/// slope = sum over temperatures T std of d loss / d(T std) T / ((n - 1) std).
template <class Plan, class T>
LIMBECK_INLINE T deviation_slope(const row_numbers<T, Plan>& n, const deviation_of_row<T>& d,
                                 const row_finish<T, Plan>& result) {
  if (!(d.deviation > 0)) return T(0);
  T slope(0);
  for_each_key(typename Plan::slot_keys{}, [&]<class Slot, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
    if constexpr (is_deviation_of<Slot, student_side>)
      slope += result.temperature_gradient[Index] * per_deviation(d) / n.inverse_t[Index];
  });
  return slope / ((d.count - 1) * d.deviation);
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
