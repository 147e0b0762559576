#ifndef LIMBECK_LOSS_FEATURES_SINKHORN_HPP
#define LIMBECK_LOSS_FEATURES_SINKHORN_HPP

/// @file
/// Sinkhorn distillation: the cost of moving a batch of student distributions onto the teacher's.

#include <limbeck/engine/problem.hpp>
#include <limbeck/loss/features/sinkhorn_plan.hpp>
#include <limbeck/loss/features/sinkhorn_steps.hpp>
#include <limbeck/loss/support.hpp>

#include <algorithm>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Softmaxes of a batch, rows padded with 0 to whole packs.
template <class T>
class probabilities {
 public:
  static constexpr std::size_t widest = 64 / sizeof(T);  // whole packs on every instruction set
  static constexpr std::size_t chunk = 4096 / sizeof(T);  // of a row: eight of them stay in the first cache
  static constexpr std::size_t rows_at_once = 4;
  static constexpr std::size_t rows_a_task = 4 * rows_at_once;  // what is read of the other side serves all of them

  /// @throws value_error, naming the row.
  probabilities(const batch<T>& x, bool of_teacher)
      : logits_(of_teacher ? x.teacher : x.student), stride_((logits_.classes + widest - 1) / widest * widest) {
    if (stride_ * sizeof(T) % 1024 == 0) stride_ += widest;  // else the same column of all rows shares few cache sets
    data_ = x.memory.template take<T>(logits_.samples * stride_).data();
    const std::span<T> sums = x.memory.template take<T>(logits_.samples);
    const T inverse = static_cast<T>(1 / (of_teacher ? x.teacher_temperature : x.student_temperature));
    const std::size_t n = logits_.classes;
    x.on(logits_.samples, [&](std::size_t r, std::size_t) {
      T* const p = row(r);
      const T* const z = logits_.row(r);
      if (const std::ptrdiff_t apart = logits_.class_stride; apart == 1) {
        for (std::size_t c = 0; c < n; ++c) p[c] = z[c] * inverse;
      } else {
        for (std::size_t c = 0; c < n; ++c) p[c] = z[static_cast<std::ptrdiff_t>(c) * apart] * inverse;
      }
      std::fill(p + n, p + stride_, T(0));
      const T total = sums[r] = exponentials(p, n, largest(p, n));
      for (std::size_t c = 0; c < n; ++c) p[c] /= total;
    });
    for (std::size_t r = 0; r < sums.size(); ++r) {
      if (sums[r] - sums[r] == T(0)) continue;
      problem<T> in;
      in.student = x.student, in.teacher = x.teacher;
      fault_place at = locate_fault(in, of_teacher ? fault::teacher : fault::student, r);
      at.row = x.row_of_call(r);
      throw_fault(at, n, in.ignore_index);
    }
  }
  T* row(std::size_t r) const { return data_ + r * stride_; }
  std::size_t stride() const { return stride_; }

  /// cost(i, j) = |p_i - q_j|_1 of rows [first, first + rows_a_task): twice the sum of the positive parts.
  void distances(const probabilities& q, std::size_t first, const rows<double>& cost) const {
    const std::size_t last = (std::min)(first + rows_a_task, logits_.samples);
    for (std::size_t i = first; i < last; ++i) std::fill_n(cost.row(i), cost.classes, 0.0);
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      for (std::size_t begin = 0; begin < stride_; begin += chunk)
        for (std::size_t i = first; i < last; i += rows_at_once)
          add_distances<Isa>(q, i, begin, (std::min)(begin + chunk, stride_), cost);
    });
  }

  /// Adds to @p gradient what @p slope, by the costs, says of the logits of the same rows. @p by_p has room for
  /// rows_a_task rows.
  void pull_back(const probabilities& q, std::size_t first, const rows<const T>& slope, T* by_p, double scale,
                 const rows<T>& gradient) const {
    const std::size_t last = (std::min)(first + rows_a_task, logits_.samples), width = logits_.classes;
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      constexpr auto lanes = static_cast<std::size_t>(host_lanes<T, Isa>::count);
      for (std::size_t c = 0; c < stride_;) {
        const std::size_t packs = c + 2 * lanes <= stride_ ? 2 : 1;
        for (std::size_t i = first; i < last; i += rows_at_once) {
          T* const out = by_p + (i - first) * stride_ + c;
          packs == 2 ? slopes<Isa, 2>(q, i, c, slope, out) : slopes<Isa, 1>(q, i, c, slope, out);
        }
        c += packs * lanes;
      }
    });
    for (std::size_t i = first; i < last; ++i) {
      const T *const h = by_p + (i - first) * stride_, *const p = row(i);
      const T mean = inner_product(p, h, width), s = static_cast<T>(2 * scale);
      add_to_row(gradient, i, [&](std::size_t c) { return s * p[c] * (h[c] - mean); });
    }
  }

 private:
  /// Columns [begin, end) of the distances of rows_at_once rows from i on; past the end the last again, for nobody.
  template <class Isa>
  LIMBECK_HOST_INLINE void add_distances(const probabilities& q, std::size_t i, std::size_t begin, std::size_t end,
                     const rows<double>& cost) const {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    constexpr std::size_t A = rows_at_once, B = Isa::register_bytes == 64 ? 4 : 2;  // as registers allow
    const std::size_t n = logits_.samples, m = cost.classes;
    const T* a[A];
    for (std::size_t k = 0; k < A; ++k) a[k] = row((std::min)(i + k, n - 1));
    for (std::size_t j = 0; j < m; j += B) {
      const T* b[B];
      for (std::size_t l = 0; l < B; ++l) b[l] = q.row((std::min)(j + l, m - 1));
      X sums[A][B];
      for (auto& line : sums)
        for (X& s : line) s = X(T(0));
      for (std::size_t c = begin; c < end; c += lanes) {
        X x[A];
        for (std::size_t k = 0; k < A; ++k) x[k] = X::from(L::load(a[k] + c));
        for (std::size_t l = 0; l < B; ++l) {
          const X y = X::from(L::load(b[l] + c));
          for (std::size_t k = 0; k < A; ++k) sums[k][l] += larger(x[k] - y, X(T(0)));
        }
      }
      for (std::size_t k = 0; k < A && i + k < n; ++k)
        for (std::size_t l = 0; l < B && j + l < m; ++l)
          cost(i + k, j + l) += 2 * static_cast<double>(L::sum(sums[k][l].v));
    }
  }
  /// The sum over j of slope(i, j) where p_ic > q_jc, for `Packs` packs of columns from @p c on, and rows as above.
  template <class Isa, std::size_t Packs>
  LIMBECK_HOST_INLINE void slopes(const probabilities& q, std::size_t i, std::size_t c, const rows<const T>& slope, T* out) const {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    constexpr std::size_t A = rows_at_once;
    const T* g[A];
    X x[A][Packs], sums[A][Packs];
    for (std::size_t k = 0; k < A; ++k) {
      const std::size_t r = (std::min)(i + k, logits_.samples - 1);
      g[k] = slope.row(r);
      for (std::size_t l = 0; l < Packs; ++l) x[k][l] = X::from(L::load(row(r) + c + l * lanes)), sums[k][l] = X(T(0));
    }
    for (std::size_t j = 0; j < slope.classes; ++j) {
      const T* const b = q.row(j) + c;
      for (std::size_t l = 0; l < Packs; ++l) {
        const X y = X::from(L::load(b + l * lanes));
        for (std::size_t k = 0; k < A; ++k) sums[k][l] = select(y < x[k][l], sums[k][l] + X(g[k][j]), sums[k][l]);
      }
    }
    for (std::size_t k = 0; k < A; ++k)
      for (std::size_t l = 0; l < Packs; ++l) L::store(out + k * stride_ + l * lanes, sums[k][l].v);
  }

  rows<const T> logits_;
  std::size_t stride_;
  T* data_;
};

}  // namespace detail

/// The sum over i, j of P_ij W_ij. W_ij = |q_i - p_j|_1 between every student and every teacher distribution of the
/// batch, P = exp(-W/epsilon) after `iterations` times dividing each row by its sum, then each column.
///
/// Columns of P sum to 1, so the value grows with the batch: it is not divided by it, as in the authors' code, which
/// weighs it with 0.001 to 0.002 and fixes T = 2: write `0.002 * at_temperature(2.0, sinkhorn{})`. No T^2. The gradient
/// goes through all iterations; the teacher is constant. Not 0 where student and teacher agree (the plan is blurred),
/// except for a batch of one, where it is |q - p|_1. Where a probability of both is the same, the derivative of |q - p|
/// is one of its subgradients; where all are, it is 0. -inf masks a class. O(samples^2 x (classes + iterations)), a few
/// matrices of samples^2 in double.
/// @throws shape_error where the classes differ; value_error where a logit is NaN or +inf, a row masked altogether,
///   epsilon not positive or iterations < 1.
///
/// Cui et al., Sinkhorn Distance Minimization for Knowledge Distillation, 2024, arXiv:2402.17110, and their `loss.py`.
/// K is shifted before its exponential, which changes nothing but that a small epsilon cannot underflow.
struct sinkhorn {
  using limbeck_loss = batchwise;
  static constexpr int temperature_power = 0;
  double epsilon = 0.1;  ///< of the entropy
  int iterations = 20;   ///< at least 1

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "sinkhorn");
    if (!(epsilon > 0) || epsilon - epsilon != 0)
      raise<value_error>("limbeck: sinkhorn.epsilon is " + detail::show(epsilon) + ", expected a positive number");
    if (iterations < 1)
      raise<value_error>("limbeck: sinkhorn.iterations is " + std::to_string(iterations) + ", expected at least 1");
    const std::size_t n = x.samples();
    if (n == 0 || x.student.classes == 0) return 0;
    if constexpr (batch<T, Memory>::on_host) {
      return on_host(x);
    } else {
      return by_steps(x);
    }
  }

 private:
  template <class T>
  double on_host(const batch<T>& x) const {
    const std::size_t n = x.samples();
    using probabilities = detail::probabilities<T>;
    constexpr std::size_t at_once = probabilities::rows_a_task;
    const std::size_t tasks = (n + at_once - 1) / at_once;
    const probabilities q(x, false), p(x, true);
    const rows<double> cost(x.memory.template take<double>(n * n).data(), n, n);
    x.on(tasks, [&](std::size_t i, std::size_t) { q.distances(p, i * at_once, cost); });
    const detail::sinkhorn_plan plan(cost, epsilon, iterations, x.memory);
    if (x.wants_gradient()) {
      const rows<T> slope(x.memory.template take<T>(n * n).data(), n, n);
      plan.pull_back(slope, x.memory);
      const std::size_t room = at_once * q.stride();
      const std::span<T> by_p = x.memory.template take<T>(x.on.workers() * room);
      const double scale = static_cast<double>(x.scale) / x.student_temperature;
      x.on(tasks, [&](std::size_t i, std::size_t worker) {
        q.pull_back(p, i * at_once, slope, by_p.data() + worker * room, scale, x.gradient);
      });
    }
    return plan.value();
  }
  template <class T, class Memory>
  batch_number<Memory> by_steps(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples(), classes = x.student.classes;
    const rows<T> q = detail::take_matrix(x, n, classes), p = detail::take_matrix(x, n, classes);
    x.each_row(n, classes, detail::softmax_row<T>{x.student, q, static_cast<T>(1 / x.student_temperature)});
    x.each_row(n, classes, detail::softmax_row<T>{x.teacher, p, static_cast<T>(1 / x.teacher_temperature)});
    const rows<double> cost(x.memory.template take<double>(n * n).data(), n, n);
    x.each_row(n * n, classes, detail::distance_of_pair<T>{q, p, cost});
    rows<T> slope;
    if (x.wants_gradient()) slope = detail::take_matrix(x, n, n);
    const double* const value = detail::run_sinkhorn(x, cost, epsilon, static_cast<std::size_t>(iterations), slope);
    if (x.wants_gradient()) {
      const rows<T> by_q = detail::take_matrix(x, n, classes);
      const T scale = static_cast<T>(2 * (static_cast<double>(x.scale) / x.student_temperature));
      x.each_row(n, classes, detail::pull_back_distances_row<T>{q, p, slope, by_q, x.gradient, scale});
    }
    return detail::finite_of_logits(x, value);
  }
};

LIMBECK_END_NAMESPACE

#endif
