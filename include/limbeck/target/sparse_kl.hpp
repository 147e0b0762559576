#ifndef LIMBECK_TARGET_SPARSE_KL_HPP
#define LIMBECK_TARGET_SPARSE_KL_HPP

/// @file
/// Divergences from sparse rows, without making them dense: each kept class is an outcome, all others together are one.

#include <limbeck/core/scratch.hpp>
#include <limbeck/engine/row.hpp>
#include <limbeck/engine/team_row.hpp>
#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/target/sparse.hpp>

LIMBECK_BEGIN_NAMESPACE

/// A sum over the outcomes of sparse rows of a function of (p, q); made by `sparse_divergence` and `sparse_kl`. A loss of
/// rows: row r of `teacher` goes with row r of the call, whose tensors are in the same @p Memory.
template <class Divergence, class Scalar, class Memory = host_rows>
struct sparse_divergence_loss {
  using limbeck_loss = rowwise;
  using scalar = Scalar;
  using memory = Memory;
  static constexpr bool needs_teacher = false;
  static constexpr bool teacher_has_temperature = true;
  static constexpr int temperature_power = Divergence::temperature_power;
  static constexpr std::size_t scratch_rows = 1;

  Divergence divergence;                ///< of two distributions over the outcomes
  sparse_rows<Scalar, Memory> teacher;  ///< one row a sample of the call

  /// The call has the teacher's shape and its temperature.
  void check_call(std::size_t samples, std::size_t classes, double, double teacher_temperature) const {
    if (teacher.samples() != samples || teacher.classes != classes)
      detail::throw_shape("the sparse teacher", teacher.samples(), teacher.classes, samples, classes);
    const double stored = teacher.temperature;
    if (!(stored <= teacher_temperature * (1 + 1e-6) && stored >= teacher_temperature * (1 - 1e-6)))
      raise<value_error>("limbeck: the sparse rows were made at T = " + detail::show(stored) +
                         ", and the term stands at T = " + detail::show(teacher_temperature) +
                         "; write at_temperature(" + detail::show(stored) + ", ...) around it");
    if constexpr (requires { divergence.check(); }) divergence.check();
  }

  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const row<T, Team>& x) const {
    static_assert(
        std::is_same_v<T, Scalar>,
        "limbeck: student and sparse rows hold different scalar types; float goes with float, double with double");
    const auto first = static_cast<std::size_t>(teacher.offsets[x.index]);
    const std::size_t n = x.student.size(), kept_classes = static_cast<std::size_t>(teacher.offsets[x.index + 1]) - first;
    const T* const log_weights = teacher.log_weights.data() + first;
    const auto id = [&](std::size_t i) { return static_cast<std::size_t>(teacher.ids[first + i]); };
    const std::span<T> e = x.scratch.first(n);
    const double inverse_t = 1 / static_cast<double>(x.student_temperature);
    const auto logit = [&](std::size_t i) { return static_cast<double>(x.student[id(i)]) * inverse_t; };
    detail::copy_own(x.team, x.student.data(), n, e.data());
    x.team.wait();
    double top = -detail::infinite<double>, kept = 0;
    detail::for_own<T>(x.team, kept_classes, [&](std::size_t i) {
      e[id(i)] = -detail::infinite<T>;
      top = logit(i) > top ? logit(i) : top;
    });
    top = detail::highest_over(x.team, top);
    detail::for_own<T>(x.team, kept_classes, [&](std::size_t i) { kept += std::exp(logit(i) - top); });
    kept = detail::sum_over(x.team, kept);
    const double log_kept = top > -detail::infinite<double> ? top + std::log(kept) : top;
    x.team.wait();
    // the others among themselves: their share keeps its digits however small it is
    const auto rest = detail::exponentials_of(x.team, e.data(), n, static_cast<T>(inverse_t), e.data());
    const bool others = rest.maximum != -detail::infinite<T>;
    const double log_rest =
        others ? static_cast<double>(rest.maximum) * inverse_t + std::log(static_cast<double>(rest.sum))
               : -detail::infinite<double>;
    const double log_z = detail::log_add(log_kept, log_rest);

    detail::team_array<double, 4> sums{};
    double &value = sums.v[0], &flows = sums.v[1], &mass = sums.v[2], &infinities = sums.v[3];
    const auto outcome = [&](double log_p, double log_q) {
      using X = pack<scalar_lanes<double>>;
      const point<X> at = grouped(log_p, log_q);
      value += divergence.value(at).v;
      const bool no_student = log_q == -detail::infinite<double>, no_teacher = log_p == -detail::infinite<double>;
      if ((no_student && at.p.v > 0 && detail::diverges<double>(divergence, true)) ||
          (no_teacher && at.q.v > 0 && detail::diverges<double>(divergence, false)))
        infinities += 1;
      mass += at.p.v;
      const double flow = divergence.flow(at).v;
      flows += flow;
      return flow;
    };
    detail::for_own<T>(x.team, kept_classes, [&](std::size_t i) {
      (void)outcome(static_cast<double>(log_weights[i]), logit(i) - log_z);
    });
    sums = x.team.sum(sums);
    const double tail_flow = outcome(teacher.log_tails.empty() ? -detail::infinite<double>
                                                               : static_cast<double>(teacher.log_tails[x.index]),
                                     log_rest - log_z);
    // weights without a tail need not sum to 1: KL is sum w log(w/q), not the same less w plus q
    if constexpr (std::is_same_v<Divergence, forward_kl>) value += teacher.log_tails.empty() ? mass - 1 : 0;
    if (infinities > 0) value = detail::infinite<double>;
    if (x.gradient.empty()) return static_cast<T>(value);

    const double scale = static_cast<double>(x.scale) * inverse_t;
    detail::for_own<T>(x.team, kept_classes, [&](std::size_t i) {
      const double log_q = logit(i) - log_z;
      const point<pack<scalar_lanes<double>>> at = grouped(static_cast<double>(log_weights[i]), log_q);
      x.gradient[id(i)] += static_cast<T>(scale * (divergence.flow(at).v - at.q.v * flows));
    });
    x.team.wait();
    if (others) {
      const double share = (tail_flow - std::exp(log_rest - log_z) * flows) / static_cast<double>(rest.sum);
      detail::add_scaled(x.team, e.data(), n, static_cast<T>(scale * share), false, x.gradient.data());
    }
    return static_cast<T>(value);
  }

 private:
  /// One outcome, as the engine shows a class to a loss.
  LIMBECK_HOST_DEVICE static point<pack<scalar_lanes<double>>> grouped(double log_p, double log_q) {
    using X = pack<scalar_lanes<double>>;
    constexpr double low = detail::masked_logit<double>;
    point<X> x{};
    x.log_p = X(log_p < low ? low : log_p);
    x.log_q = X(log_q < low ? low : log_q);
    x.p = X(std::exp(log_p));
    x.q = X(std::exp(log_q));
    x.log_ratio = x.log_p - x.log_q;
    detail::set_differences(x);
    return x;
  }
};

/// Any divergence that is a sum over classes (`forward_kl`, `reverse_kl`, `jensen_shannon`, `skew_kl`, `total_variation`,
/// ...), of the kept classes and one bucket for all others: sum_i phi(w_i, q_i) + phi(w_tail, q_tail), with
/// q = softmax(s/T) and q_tail the sum over the classes that were not kept. With the tail of `keep_top` it is exact for
/// the k + 1 outcomes, 0 where student and teacher agree on them, and for an f-divergence a lower bound of that over
/// all classes.
///
/// A loss of rows: it takes no teacher in the call; masks, weights, ignored labels and signals reach it.
/// The temperature of the term is the one with which the rows were made, times T^k as for the dense loss. Sparse rows in the
/// memory of a device, `on_device(store)`, go with a student there.
/// @throws shape_error, value_error where the sparse rows are inconsistent or are no probabilities (see `sparse_rows`),
///         or where they have no tail and the divergence is infinite for it; at the call shape_error where shapes
///         differ, value_error where temperatures do or a student row has no softmax. O(samples x classes).
template <class Divergence, class T, class Memory>
sparse_divergence_loss<Divergence, T, Memory> sparse_divergence(const Divergence& divergence,
                                                                const sparse_rows<T, Memory>& teacher) {
  static_assert(std::is_same_v<typename Divergence::limbeck_loss, pointwise>,
                "limbeck: sparse_divergence takes a loss that is a sum over classes of a function of p and q");
  if constexpr (std::is_same_v<Memory, host_rows>) detail::check_sparse(teacher);
  if (teacher.log_tails.empty() && detail::diverges<double>(divergence, false))
    raise<value_error>(
        "limbeck: these sparse rows have no tail, and this divergence is infinite where the teacher gives nothing and the "
        "student something; keep_top stores the tail");
  return {divergence, teacher};
}

/// KL over the kept classes and one bucket for all others: sum_i w_i log(w_i/q_i) + w_tail log(w_tail/q_tail), with
/// q = softmax(s/T) and q_tail the sum over the classes that were not kept: `sparse_divergence(forward_kl{}, teacher)`.
///
/// With `draw_sparse`, which stores no tail, it is RS-KD: d/ds_j = (sum_i w_i) q_j - w_j at T = 1, in expectation that of
/// the full KL. +inf where the student masks a class that was kept.
/// @throws as `sparse_divergence`. O(samples x classes).
/// Anshumann et al., 2025, arXiv:2503.16870 (the sampled form; the tail bucket is the grouping of the outcomes).
template <class T, class Memory>
sparse_divergence_loss<forward_kl, T, Memory> sparse_kl(const sparse_rows<T, Memory>& teacher) {
  return sparse_divergence(forward_kl{}, teacher);
}
/// @cond
template <class Divergence, class Store>
  requires is_sparse_store<Store>
auto sparse_divergence(const Divergence& divergence, Store&& teacher) {
  detail::require_kept<Store>();
  return sparse_divergence(divergence, teacher.view());
}
template <class Store>
  requires is_sparse_store<Store>
auto sparse_kl(Store&& teacher) {
  detail::require_kept<Store>();
  return sparse_kl(teacher.view());
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
