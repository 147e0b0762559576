#ifndef LIMBECK_ENGINE_POINT_HPP
#define LIMBECK_ENGINE_POINT_HPP

/// @file
/// What a loss sees. Six kinds of loss, told apart by a nested name:
///
/// - `using limbeck_loss = pointwise;` a sum over classes of phi(p, q), given as `value(point)` and
///   `flow(point)` = q dphi/dq; and, for learned temperatures, `teacher_flow(point)` = p dphi/dp, which may be left
///   out where phi is homogeneous of degree 1, as every f-divergence is: then it is value - flow;
/// - `using limbeck_loss = logitwise;` a sum over classes of phi(u, v), u = s/T and v = t/T, given as `value(point)`
///   `flow(point)` = dphi/du and `teacher_flow(point)` = dphi/dv;
/// - `using limbeck_loss = labelwise;` a function of the labelled class and the row's sums, given as
///   `outcome(label_point)`;
/// - `using limbeck_loss = rowwise;` anything that needs the whole row at once, given as `operator()(row)`;
/// - `using limbeck_loss = batchwise;` what relates rows to each other, given as `operator()(batch)`, see `engine/batch.hpp`;
/// - `using limbeck_loss = composite;` a loss made of others, given as `terms()`.

#include <limbeck/core/config.hpp>
#include <limbeck/core/team.hpp>
#include <limbeck/engine/math.hpp>

#include <cstdint>
#include <limits>
#include <span>

LIMBECK_BEGIN_NAMESPACE

/// Kind of loss: a sum over classes of a function of probabilities.
struct pointwise {};
/// Kind of loss: a sum over classes of a function of logits.
struct logitwise {};
/// Kind of loss: a function of the labelled class.
struct labelwise {};
/// Kind of loss: a function of the whole row.
struct rowwise {};
/// Kind of loss: a function of the whole batch.
struct batchwise {};
/// Kind of loss: an expression of other losses.
struct composite {};

/// Student and teacher at one class (of every lane). p = softmax(t/T), q = softmax(s/T).
///
/// `log_ratio`, `difference` and `excess` keep their digits where student and teacher agree: they come from t - s, not
/// from p and q. Everything is finite: where a class is masked (-inf), p or q is 0 and its logarithm a large
/// negative number, so that 0 log 0 is 0; the engine reports sums that are truly infinite.
template <class X>
struct point {
  X p, q;           ///< teacher's and student's probability
  X log_p, log_q;   ///< their logarithms
  X log_ratio;      ///< log p - log q
  X difference;     ///< q - p; of a logitwise loss, s/T - t/T
  X excess;         ///< p log(p/q) - p + q >= 0
  X student, teacher;  ///< s/T and t/T
};

namespace detail {

/// What divides instead of a probability that may be 0.
template <class T>
inline constexpr T tiny = (std::numeric_limits<T>::min)();

template <class X>
LIMBECK_INLINE void set_differences(point<X>& x) {
  const X& r = x.log_ratio;
  const X tail = r * r * exp_excess_ratio(r);
  const auto is_close = abs(r) < X(static_cast<typename X::scalar>(0.5));
  x.difference = select(is_close, x.p * (tail - r), x.q - x.p);
  x.excess = select(is_close, x.p * tail, (x.q - x.p) + x.p * r);
}

}  // namespace detail

/// q log(q/p) - q + p >= 0, with its digits.
template <class X>
LIMBECK_INLINE X reverse_excess(const point<X>& x) {
  const auto is_close = abs(x.log_ratio) < X(static_cast<typename X::scalar>(0.5));
  return select(is_close, -(x.excess + x.difference * x.log_ratio), (x.p - x.q) - x.q * x.log_ratio);
}

/// Both divergences from a mixture m = w p + (1-w) q at one class, in non-negative form and with their digits:
/// `from_p()` = p log(p/m) - p + m, `from_q()` = q log(q/m) - q + m; and `log_ratio_q` = log(m/q).
template <class X>
struct mixture {
  using T = typename X::scalar;  ///< float or double
  X log_ratio_q,                 ///< log(m/q)
      m;                         ///< never 0

  /// @p weight is w, that of the teacher.
  LIMBECK_INLINE mixture(const point<X>& x, T weight)
      : p_is_larger_(x.log_ratio > X(T(0))), weight_(weight) {
    // b = a (1 + e) is the smaller of p and q, m = a (1 + g e); one logarithm, log(m/a), serves both sides
    const X tiny(detail::tiny<T>);
    a_ = select(p_is_larger_, x.p, x.q);
    e_ = select(p_is_larger_, x.difference, -x.difference) / larger(a_, tiny);
    gap_ = smaller(abs(x.log_ratio), X(sizeof(T) == 4 ? T(20) : T(40)));  // beyond, (1 + e) gap is nothing
    ge_ = select(p_is_larger_, X(T(1) - weight), X(weight)) * e_;
    psi_ = detail::log1p_excess(ge_);  // g e - log(1 + g e)
    const X log_m_a = ge_ - psi_;
    log_ratio_q = select(p_is_larger_, log_m_a + x.log_ratio, log_m_a);
    m = larger(a_ * (X(T(1)) + ge_), tiny);
  }
  /// p log(p/m) - p + m.
  LIMBECK_INLINE X from_p() const { return select(p_is_larger_, of_larger(), of_smaller(weight_)); }
  /// q log(q/m) - q + m.
  LIMBECK_INLINE X from_q() const { return select(p_is_larger_, of_smaller(T(1) - weight_), of_larger()); }

 private:
  LIMBECK_INLINE X of_larger() const { return a_ * psi_; }  // a log(a/m) - a + m
  /// b log(b/m) - b + m, where @p g is the weight of b in m.
  LIMBECK_INLINE X of_smaller(T g) const {
    const X one(T(1));
    if (g > T(0.75)) {  // m is nearly b, a would lose digits: m = b (1 + h), at the price of a second logarithm
      const X b_a = larger(one + e_, X(detail::tiny<T>));
      return a_ * (b_a * detail::log1p_excess(X(g - T(1)) * e_ / b_a));  // a b_a alone may be too small
    }
    const X tail = gap_ * gap_ * detail::exp_excess_ratio(gap_);
    const X e_gap = select(gap_ < X(T(0.5)), tail, e_ + gap_);  // e + gap, with its digits
    return a_ * ((one + e_) * psi_ - e_gap - e_ * (ge_ + gap_));
  }

  decltype(X() < X()) p_is_larger_;
  T weight_;
  X a_, e_, gap_, ge_, psi_;
};

/// The labelled class y of one row, and what the row's sums say of all others.
template <class X>
struct label_point {
  X p, q;                  ///< teacher's and student's probability of y
  X log_q;                 ///< log q
  X log_ratio;             ///< log p - log q
  X rest_p, rest_q;        ///< 1 - p and 1 - q, with their digits
  X rest_log_ratio;        ///< log(1-p) - log(1-q)
  X mean_log_q;            ///< mean of log q over all classes
  X classes;               ///< their number
};

/// What a labelwise loss returns: its value, and a gradient with respect to s/T of the form
/// `softmax` q_i + `rest` q_i/(1-q) [i != y] + `label` [i = y] + `uniform`.
template <class X>
struct label_outcome {
  X value,        ///< of the row
      softmax{},  ///< coefficient of q_i
      rest{},     ///< coefficient of q_i/(1-q), for all classes but the label
      label{},    ///< added at the label
      uniform{};  ///< added everywhere
};

/// A whole row, for a rowwise loss: `template <class T> T operator()(const row<T>&) const` returns the row's value
/// and, where `gradient` is not empty, adds `scale` times its gradient with respect to the *logits* to it. A loss that
/// declares `static constexpr bool any_width = true` may be shown a teacher of another number of classes.
///
/// That form runs on the host. On a device the threads of a team share a row, and call together
/// `template <class T, class Team> LIMBECK_HOST_DEVICE T operator()(const row<T, Team>&) const`, which serves the host too,
/// by a team of one; see `core/team.hpp` and `engine/team_row.hpp`. All spans are memory of the team: each thread writes its own
/// classes (`each_own`), not all of them, and every thread returns the row's value.
template <class T, class Team = detail::single_team>
struct row {
  std::span<const T> student, teacher;         ///< logits (teacher may be empty)
  std::size_t index;                           ///< which row of the call this is
  std::int64_t label;                          ///< -1 where there are no labels
  T student_temperature, teacher_temperature;  ///< of this row
  std::span<T> scratch;                        ///< `scratch_rows` rows of the wider side, content unspecified
  std::span<T> gradient;                       ///< to be added to; empty where none is wanted
  T scale;                                     ///< of the gradient: the term's weight, the row's, the reduction, T^k
  Team team{};                                 ///< the threads of the row

  /// f(c) for each class of the student that this thread takes: all of them on the host.
  template <class F>
  LIMBECK_HOST_DEVICE void each_own(F&& f) const {
    detail::for_own<T>(team, student.size(), f);
  }
  /// The sum of a number of each thread, the same for all.
  template <class V>
  LIMBECK_HOST_DEVICE V sum(const V& v) const {
    return detail::sum_over(team, v);
  }
  /// The highest number of all threads; none is NaN.
  template <class V>
  LIMBECK_HOST_DEVICE V highest(const V& v) const {
    return detail::highest_over(team, v);
  }
  /// What any thread wrote before, all may read after.
  LIMBECK_HOST_DEVICE void wait() const { team.wait(); }
};

namespace detail {
struct team_of_any_kind : single_team {};
}  // namespace detail

/// A rowwise loss that any team of threads can call, and so a device.
template <class Loss, class T = double>
concept device_rowwise = requires(const Loss& loss, const row<T, detail::team_of_any_kind>& x) { T(loss(x)); };

LIMBECK_END_NAMESPACE

#endif
