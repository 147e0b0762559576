#ifndef LIMBECK_LOSS_RELATIONS_SPAN_CONSISTENCY_HPP
#define LIMBECK_LOSS_RELATIONS_SPAN_CONSISTENCY_HPP

/// @file
/// What neighbouring tokens of a span have in common.

#include <limbeck/core/errors.hpp>
#include <limbeck/loss/support.hpp>

#include <cmath>
#include <cstddef>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Of the rows that follow one another in a span, all at their first one: the weighed sum of |q_i q_(i+1) - p_i p_(i+1)|, and its
/// gradient. Each slot has four rows of memory.
template <class T>
struct span_of_rows {
  rows<const T> s, t;
  rows<T> gradient;
  any_vector spans;
  const std::size_t* call_rows;
  row_shares shares;
  T scale;
  T* memory;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t first, std::size_t slot) const {
    if (follows(first) || !follows(first + 1)) return 0;
    const std::size_t n = s.classes;
    T *q = memory + slot * 4 * n, *p = q + n, *next_q = p + n, *next_p = next_q + n;
    softmax(team, s, first, q), softmax(team, t, first, p);
    double value = 0;
    for (std::size_t r = first; follows(r + 1); ++r) {
      softmax(team, s, r + 1, next_q), softmax(team, t, r + 1, next_p);
      const auto both = [&](std::size_t c) { return static_cast<double>(q[c]) * static_cast<double>(next_q[c]); };
      const auto apart = [&](std::size_t c) {  // 0 where the sides agree, and its digits where they nearly do
        return (static_cast<double>(q[c]) - static_cast<double>(p[c])) * static_cast<double>(next_q[c]) +
               static_cast<double>(p[c]) * (static_cast<double>(next_q[c]) - static_cast<double>(next_p[c]));
      };
      team_array<double, 2> sums{};
      for_own<T>(team, n, [&](std::size_t c) { sums.v[0] += apart(c) * apart(c), sums.v[1] += apart(c) * both(c); });
      sums = team.sum(sums);
      const double distance = std::sqrt(sums.v[0]), share = shares(r);
      value += share * distance;
      if (gradient.data && distance > 0) {
        const double by = share * static_cast<double>(scale) / distance;
        for_own<T>(team, n, [&](std::size_t c) {
          const double slope = apart(c) * both(c);
          gradient(r, c) += static_cast<T>(by * (slope - sums.v[1] * static_cast<double>(q[c])));
          gradient(r + 1, c) += static_cast<T>(by * (slope - sums.v[1] * static_cast<double>(next_q[c])));
        });
      }
      std::swap(q, next_q), std::swap(p, next_p);
    }
    return value;
  }

 private:
  LIMBECK_HOST_DEVICE std::size_t place(std::size_t r) const { return call_rows ? call_rows[r] : r; }
  /// Whether row r is the next of the same span as the one before it.
  LIMBECK_HOST_DEVICE bool follows(std::size_t r) const {
    if (r == 0 || r >= s.samples || place(r) != place(r - 1) + 1) return false;
    return spans.number(place(r)) >= 0 && spans.number(place(r)) == spans.number(place(r - 1));
  }
  template <class Team>
  LIMBECK_HOST_DEVICE static void softmax(const Team& team, const rows<const T>& logits, std::size_t r, T* out) {
    const std::size_t n = logits.classes;
    for_own<T>(team, n, [&](std::size_t c) { out[c] = logits(r, c); });
    const T total = exponentials(team, out, n, largest(team, out, n));
    for_own<T>(team, n, [&](std::size_t c) { out[c] /= total; });
  }
};

}  // namespace detail

/// What `span_consistency` returns.
template <class Memory = host_rows>
struct span_consistency_loss {
  using limbeck_loss = batchwise;
  using memory = Memory;  ///< of the spans
  static constexpr bool by_row = true, into_teacher = true;
  any_vector spans;  ///< of each row of the call

  /// @throws shape_error, value_error as `span_consistency` says.
  template <class T, class RowMemory>
  batch_number<RowMemory> operator()(const batch<T, RowMemory>& x) const {
    detail::check_widths(x, "span_consistency");
    if (spans.size() != x.samples_of_call()) detail::throw_length("the spans of span_consistency", spans.size(), x.samples_of_call());
    const std::size_t n = x.samples(), width = x.student.classes;
    if (n == 0) return 0;
    T* const room = x.memory.template take<T>(x.slots(n) * 4 * width).data();
    const std::size_t* const call_rows = x.call_rows.empty() ? nullptr : x.call_rows.data();
    return detail::with_teacher(*this, x, detail::finite(x, 1, x.sum_rows_in_slots(width, detail::span_of_rows<T>{
        x.student, x.teacher, x.gradient, spans, call_rows, detail::shares_of(x), x.scale, room})));
  }
};

/// The mean over rows r of |q_r o q_(r+1) - p_r o p_(r+1)|, o class by class and |.| the 2-norm, where row r + 1 is the next token of the
/// same span, and of 0 elsewhere: q = softmax(s), p = softmax(t).
///
/// What two neighbours have in common: phrases whose tokens the teacher expects together. The mean is over all rows that count, so
/// that it adds up over micro-batches; over pairs, `mean_over(pairs)`. A pair has the weight of its first row; a row that does not
/// count has no neighbours. Where both sides agree the gradient is 0. O(classes) for each row of a pair, four rows of memory for each
/// worker; rows without a neighbour are not looked at.
///
/// @param spans the number of each row's span, negative for none: any vector of numbers, one a row of the call, kept by view, in the
///        memory of the logits. A span does not go on in the next sequence, so sequences have spans of their own.
/// @throws shape_error where there are not as many as rows, or the widths differ; value_error where a row of a pair has no softmax.
///
/// The span-level loss of Liu et al., Multi-Granularity Semantic Revision for Large Language Model Distillation, 2024,
/// arXiv:2407.10068, as reviews quote its Eq. 10, which they read as the norm, not its square; the paper's own text was not read.
template <class Spans>
auto span_consistency(Spans&& spans) {
  detail::require_kept<Spans>();
  using Bare = std::remove_cvref_t<Spans>;
  return span_consistency_loss<detail::vector_memory_t<Bare>>{detail::view_vector(std::as_const(spans))};
}

LIMBECK_END_NAMESPACE

#endif
