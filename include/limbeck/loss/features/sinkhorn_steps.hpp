#ifndef LIMBECK_LOSS_FEATURES_SINKHORN_STEPS_HPP
#define LIMBECK_LOSS_FEATURES_SINKHORN_STEPS_HPP

/// @file
/// Sinkhorn's iterations, there and back, as steps over the rows and columns of a batch: what a device runs.
/// `sinkhorn_plan.hpp` has the same on one thread of the host.

#include <limbeck/loss/support.hpp>

#include <cmath>
#include <cstddef>
#include <limits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// |q_i - p_j|_1 of pair i n + j: twice the sum of the positive parts.
template <class T>
struct distance_of_pair {
  rows<T> q, p;
  rows<double> cost;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t pair) const {
    const std::size_t i = pair / cost.classes, j = pair % cost.classes;
    const T total = sum_own<T, T>(team, q.classes, [&](std::size_t c) {
      const T d = q(i, c) - p(j, c);
      return d < T(0) ? T(0) : d;  // NaN stays
    });
    if (team.rank() == 0) cost(i, j) = 2 * static_cast<double>(total);
  }
};

/// The lowest of n numbers x(i) of a team.
template <class Team, class X>
LIMBECK_HOST_DEVICE double lowest_of(const Team& team, std::size_t n, const X& x) {
  double low = -std::numeric_limits<double>::infinity();
  for_own<double>(team, n, [&](std::size_t i) { low = -x(i) > low ? -x(i) : low; });
  return -highest_over(team, low);
}

/// A plan diag(a) K diag(b) in the making; vectors of all iterations, one after the other.
struct scaled_kernel {
  rows<double> cost, k;
  double *a, *b;
  double epsilon;
  std::size_t steps;

  LIMBECK_HOST_DEVICE std::size_t size() const { return k.samples; }
  LIMBECK_HOST_DEVICE double* a_of(std::size_t step) const { return a + step * size(); }
  LIMBECK_HOST_DEVICE double* b_of(std::size_t step) const { return b + step * size(); }
  LIMBECK_HOST_DEVICE const double* last_a() const { return a_of(steps - 1); }
  LIMBECK_HOST_DEVICE const double* last_b() const { return b_of(steps); }
};

struct shift_row_of_kernel {
  scaled_kernel plan;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const double low = lowest_of(team, plan.size(), [&](std::size_t j) { return plan.cost(i, j); });
    for_own<double>(team, plan.size(), [&](std::size_t j) { plan.k(i, j) = plan.cost(i, j) - low; });
  }
};
struct shift_column_of_kernel {
  scaled_kernel plan;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t j) const {
    const double low = lowest_of(team, plan.size(), [&](std::size_t i) { return plan.k(i, j); });
    if (team.rank() == 0) plan.b[j] = low;
  }
};
struct exponentials_of_kernel {
  scaled_kernel plan;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    double* const k = plan.k.row(i);
    for_own<double>(team, plan.size(), [&](std::size_t j) { k[j] = (plan.b[j] - k[j]) / plan.epsilon; });
    (void)exponentials(team, k, plan.size(), 0.0);
  }
};
struct first_b {
  scaled_kernel plan;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    for_own<double>(team, plan.size(), [&](std::size_t j) { plan.b[j] = std::exp(-plan.b[j] / plan.epsilon); });
  }
};
/// a = 1/(K b), a row at a time.
struct scale_row {
  scaled_kernel plan;
  std::size_t step;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const double total = inner_product(team, plan.k.row(i), plan.b_of(step), plan.size());
    if (team.rank() == 0) plan.a_of(step)[i] = 1 / total;
  }
};
/// b = 1/(K^T a), a column at a time.
struct scale_column {
  scaled_kernel plan;
  std::size_t step;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t j) const {
    const double* const a = plan.a_of(step);
    const double total = sum_own<double, double>(team, plan.size(), [&](std::size_t i) { return a[i] * plan.k(i, j); });
    if (team.rank() == 0) plan.b_of(step + 1)[j] = 1 / total;
  }
};
struct cost_of_row {
  scaled_kernel plan;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const double* const b = plan.last_b();
    return plan.last_a()[i] *
           sum_own<double, double>(team, plan.size(), [&](std::size_t j) { return plan.k(i, j) * b[j] * plan.cost(i, j); });
  }
};

/// The derivatives of the value, on their way back: by K, a and b, and what an iteration hands on.
struct kernel_slopes {
  rows<double> by_k;
  double *by_a, *by_b, *handed;
};
/// From plan x cost to K and a.
struct pull_back_cost_row {
  scaled_kernel plan;
  kernel_slopes slopes;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const double a = plan.last_a()[i];
    const double* const b = plan.last_b();
    const double by_a = sum_own<double, double>(team, plan.size(), [&](std::size_t j) {
      const double w = plan.cost(i, j);
      slopes.by_k(i, j) = a * b[j] * w;
      return w * plan.k(i, j) * b[j];
    });
    if (team.rank() == 0) slopes.by_a[i] = by_a;
  }
};
/// From plan x cost to b, and through b = 1/(K^T a).
struct pull_back_cost_column {
  scaled_kernel plan;
  kernel_slopes slopes;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t j) const {
    const double* const a = plan.last_a();
    const double by_b =
        sum_own<double, double>(team, plan.size(), [&](std::size_t i) { return a[i] * (plan.cost(i, j) * plan.k(i, j)); });
    const double b = plan.last_b()[j];
    if (team.rank() == 0) slopes.handed[j] = -b * b * by_b;
  }
};
/// Through a = 1/(K before), and to K.
struct pull_back_scaled_row {
  scaled_kernel plan;
  kernel_slopes slopes;
  std::size_t step;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const double a = plan.a_of(step)[i];
    const double *const before = plan.b_of(step), *const handed = slopes.handed;
    const double v = inner_product(team, plan.k.row(i), handed, plan.size());
    const double direct = step + 1 == plan.steps ? slopes.by_a[i] : 0;  // of the value, to the last a alone
    const double by_sum = -a * a * (direct + v);
    for_own<double>(team, plan.size(), [&](std::size_t j) { slopes.by_k(i, j) += a * handed[j] + by_sum * before[j]; });
    if (team.rank() == 0) slopes.by_b[i] = by_sum;
  }
};
/// To the b of the iteration before, and through it.
struct pull_back_scaled_column {
  scaled_kernel plan;
  kernel_slopes slopes;
  std::size_t step;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t j) const {
    const double by_b =
        sum_own<double, double>(team, plan.size(), [&](std::size_t i) { return slopes.by_b[i] * plan.k(i, j); });
    const double b = plan.b_of(step)[j];
    if (team.rank() == 0) slopes.handed[j] = -b * b * by_b;
  }
};
/// By the costs.
template <class T>
struct slope_of_cost_row {
  scaled_kernel plan;
  kernel_slopes slopes;
  rows<T> out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const double a = plan.last_a()[i];
    const double* const b = plan.last_b();
    for_own<T>(team, plan.size(), [&](std::size_t j) {
      out(i, j) = static_cast<T>(plan.k(i, j) * (a * b[j] - slopes.by_k(i, j) / plan.epsilon));
    });
  }
};
/// By the logits: the sum over j of the slopes where q_ic > p_jc, through the softmax.
template <class T>
struct pull_back_distances_row {
  rows<T> q, p, slope, by_q, gradient;
  T scale;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    T* const h = by_q.row(i);
    for_own<T>(team, q.classes, [&](std::size_t c) {
      T total(0);
      for (std::size_t j = 0; j < p.samples; ++j)
        if (p(j, c) < q(i, c)) total += slope(i, j);
      h[c] = total;
    });
    const T average = inner_product(team, q.row(i), h, q.classes);
    add_to_row(team, gradient, i, [&](std::size_t c) { return scale * q(i, c) * (h[c] - average); });
  }
};

/// Where the sum of plan x cost stands; with a gradient, @p slope takes its derivative by each cost.
template <class T, class Memory>
const double* run_sinkhorn(const batch<T, Memory>& x, const rows<double>& cost, double epsilon, std::size_t steps,
                           const rows<T>& slope) {
  const std::size_t n = cost.samples;
  const auto take = [&](std::size_t count) { return x.memory.template take<double>(count).data(); };
  const scaled_kernel plan{cost, rows<double>(take(n * n), n, n), take(steps * n), take((steps + 1) * n), epsilon, steps};
  x.each_row(n, n, shift_row_of_kernel{plan});
  x.each_row(n, n, shift_column_of_kernel{plan});
  x.each_row(n, n, exponentials_of_kernel{plan});
  x.each_row(1, n, first_b{plan});
  for (std::size_t s = 0; s < steps; ++s) {
    x.each_row(n, n, scale_row{plan, s});
    x.each_row(n, n, scale_column{plan, s});
  }
  const double* const value = x.sum_rows(n, cost_of_row{plan});
  if (!slope.data) return value;

  const kernel_slopes slopes{rows<double>(take(n * n), n, n), take(n), take(n), take(n)};
  x.each_row(n, n, pull_back_cost_row{plan, slopes});
  x.each_row(n, n, pull_back_cost_column{plan, slopes});
  for (std::size_t s = steps; s-- > 0;) {
    x.each_row(n, n, pull_back_scaled_row{plan, slopes, s});
    if (s > 0) x.each_row(n, n, pull_back_scaled_column{plan, slopes, s});
  }
  x.each_row(n, n, slope_of_cost_row<T>{plan, slopes, slope});
  return value;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
