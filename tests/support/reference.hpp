#ifndef LIMBECK_TESTS_SUPPORT_REFERENCE_HPP
#define LIMBECK_TESTS_SUPPORT_REFERENCE_HPP

/// @file
/// Every loss from the formula in the literature, in long double, one row at a time, with its gradient with respect to
/// the student's logits. No factor T^k. It shares no code with the library.
///
/// Where student and teacher agree to 1e-4 and T is 1000, the textbook sums are of the order of 1e-14 and their terms
/// of the order of 1: they lose all digits in long double too. So a divergence is summed here as in
/// KL = sum p log(p/q) - p + q, term by term non-negative, with expm1 and log1p.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace limbeck_test {

using real = long double;
inline constexpr real real_infinity = std::numeric_limits<real>::infinity();

struct reference_row {
  real value = 0;
  std::vector<real> gradient;
};

/// exp(-r) - 1 + r >= 0.
inline real exp_excess(real r) {
  if (std::fabs(r) > 0.5L) return std::expm1(-r) + r;
  real term = r * r / 2, sum = 0;
  for (int k = 3; k < 40; ++k) {
    sum += term;
    term *= -r / k;
  }
  return sum;
}

/// log softmax; -inf stays -inf.
inline std::vector<real> log_softmax(std::span<const real> x) {
  const real top = *std::max_element(x.begin(), x.end());
  real z = 0;
  for (const real v : x) z += std::exp(v - top);
  std::vector<real> result;
  for (const real v : x) result.push_back(v - top - std::log(z));
  return result;
}

/// One class: probabilities of teacher and student, their logarithms, and r = log p - log q.
struct reference_class {
  real p, q, log_p, log_q, r;
};

/// Logits of one row, divided by their temperatures; @p gap is the teacher's less the student's, less those of their maxima.
inline std::vector<reference_class> reference_classes(std::span<const real> student, std::span<const real> teacher,
                                                      std::span<const real> gap) {
  const auto log_q = log_softmax(student), log_p = log_softmax(teacher);
  const real top_s = *std::max_element(student.begin(), student.end());
  const real top_t = *std::max_element(teacher.begin(), teacher.end());
  // z_s / z_t - 1 = sum p (exp(-gap) - 1), in which nothing cancels where both agree
  real z = 0, more = 0;
  for (const real t : teacher) z += std::exp(t - top_t);
  for (std::size_t i = 0; i < gap.size(); ++i) {
    const real p = std::exp(teacher[i] - top_t), q = std::exp(student[i] - top_s);
    more += (std::fabs(gap[i]) < 1 ? p * std::expm1(-gap[i]) : q - p) / z;
  }
  const real kappa = more > -0.5L && more < 1 ? -std::log1p(more) : 0;
  std::vector<reference_class> classes(student.size());
  for (std::size_t i = 0; i < classes.size(); ++i) {
    auto& c = classes[i];
    c = {std::exp(log_p[i]), std::exp(log_q[i]), log_p[i], log_q[i], log_p[i] - log_q[i]};
    if (log_p[i] == -real_infinity && log_q[i] == -real_infinity) {
      c.r = 0;
    } else if (kappa != 0 || more == 0) {
      c.r = gap[i] - kappa;
    }
  }
  return classes;
}

// --- Terms of a divergence: phi(p, q) and its flow q dphi/dq --------------------------------------------------------

struct reference_term {
  real value, flow;
};

/// p log(p/q) - p + q.
inline real reference_excess(real p, real q, real r) {
  if (p == 0) return q;
  if (q == 0 && r == real_infinity) return real_infinity;
  return std::fabs(r) < 0.5L ? p * exp_excess(r) : p * r - p + q;
}
/// log(m/q), m = w p + (1 - w) q, r = log p - log q.
inline real log_mixture(real w, real r) {
  if (r == -real_infinity) return std::log(1 - w);
  return r > 0.5L ? r + std::log(w + (1 - w) * std::exp(-r)) : std::log1p(w * std::expm1(r));
}

using divergence = std::function<reference_term(const reference_class&)>;

inline divergence ref_forward_kl() {
  return [](const reference_class& c) -> reference_term {
    const real flow = std::fabs(c.r) < 0.5L ? c.p * std::expm1(-c.r) : c.q - c.p;
    return {reference_excess(c.p, c.q, c.r), flow};
  };
}
inline divergence ref_soft_cross_entropy() {
  // the flow is -p; q - p gives the same gradient and does not cancel
  return [kl = ref_forward_kl()](const reference_class& c) -> reference_term {
    return {c.p == 0 ? 0 : -c.p * c.log_q, kl(c).flow};
  };
}
inline divergence ref_reverse_kl() {
  return [](const reference_class& c) -> reference_term {
    return {reference_excess(c.q, c.p, -c.r), c.q == 0 ? 0 : -c.q * c.r};
  };
}
inline divergence ref_jensen_shannon(real beta) {
  return [=](const reference_class& c) -> reference_term {
    const real m = beta * c.p + (1 - beta) * c.q;
    const real log_mq = c.q == 0 ? 0 : log_mixture(beta, c.r);
    const real log_mp = c.p == 0 ? 0 : log_mixture(1 - beta, -c.r);
    return {beta * reference_excess(c.p, m, -log_mp) + (1 - beta) * reference_excess(c.q, m, -log_mq),
            -(1 - beta) * c.q * log_mq};
  };
}
inline real skew_slope(real w, const reference_class& c) {  // q (q - p) / m, m = w p + (1 - w) q
  if (c.q == 0) return 0;
  if (std::fabs(c.r) < 0.5L) return -c.q * std::expm1(c.r) / (1 + w * std::expm1(c.r));
  return c.q * (c.q - c.p) / (w * c.p + (1 - w) * c.q);
}
inline divergence ref_skew_kl(real alpha) {
  return [=](const reference_class& c) -> reference_term {
    const real m = alpha * c.p + (1 - alpha) * c.q;
    const real log_mp = c.p == 0 ? 0 : log_mixture(1 - alpha, -c.r);
    return {reference_excess(c.p, m, -log_mp), (1 - alpha) * (1 - alpha) * skew_slope(alpha, c)};
  };
}
inline divergence ref_skew_reverse_kl(real alpha) {
  return [=](const reference_class& c) -> reference_term {
    const real w = 1 - alpha, m = w * c.p + alpha * c.q;
    const real log_mq = c.q == 0 ? 0 : log_mixture(w, c.r);
    return {reference_excess(c.q, m, -log_mq), -c.q * log_mq - alpha * w * skew_slope(w, c)};
  };
}
inline divergence ref_total_variation() {
  return [](const reference_class& c) -> reference_term {
    const real d = std::fabs(c.r) < 0.5L ? c.p * std::expm1(-c.r) : c.q - c.p;
    return {std::fabs(d) / 2, d > 0 ? c.q / 2 : d < 0 ? -c.q / 2 : 0};
  };
}
inline divergence ref_squared_hellinger() {
  return [](const reference_class& c) -> reference_term {
    const real root = std::sqrt(c.q);
    const real d = std::fabs(c.r) < 0.5L ? -root * std::expm1(c.r / 2) : root - std::sqrt(c.p);
    return {d * d / 2, root * d / 2};
  };
}
inline divergence ref_student_entropy() {
  return [](const reference_class& c) -> reference_term {
    const real value = c.q == 0 ? 0 : -c.q * c.log_q;
    return {value, value - c.q};
  };
}
inline divergence ref_squared_probability() {
  return [](const reference_class& c) -> reference_term {
    const real d = std::fabs(c.r) < 0.5L ? c.p * std::expm1(-c.r) : c.q - c.p;
    return {d * d, 2 * c.q * d};
  };
}
inline divergence ref_alpha(real a) {
  if (a == 1) return ref_forward_kl();
  if (a == 0) return ref_reverse_kl();
  return [=](const reference_class& c) -> reference_term {
    if (c.p == 0 && c.q == 0) return {0, 0};
    if (std::fabs(c.r) * std::max<real>(1, std::fabs(a)) < 0.5L) {
      real value = 0, factorial = 1, r_k = c.r, a_k = a;  // sum over k >= 2 of r^k / k! (a^k - a)
      for (int k = 2; k < 40; ++k) {
        factorial *= k;
        r_k *= c.r;
        a_k *= a;
        value += r_k / factorial * (a_k - a);
      }
      return {c.q * value / (a * (a - 1)), -c.q * std::expm1(a * c.r) / a};
    }
    real power_mean = std::exp(a * c.log_p + (1 - a) * c.log_q);
    if (c.log_p == -real_infinity) power_mean = a > 0 ? 0 : real_infinity;
    if (c.q == 0 && c.log_q == -real_infinity) power_mean = a < 1 ? 0 : real_infinity;
    return {(power_mean - a * c.p - (1 - a) * c.q) / (a * (a - 1)), (c.q - power_mean) / a};
  };
}
inline divergence ref_alpha_beta(real a, real b) {
  return [=](const reference_class& c) -> reference_term {
    const real s = a + b, r = c.r;
    if (c.log_p == -real_infinity && c.log_q == -real_infinity) return {0, 0};
    const auto power = [](real log, real k) { return k == 0 ? 1 : std::exp(k * log); };
    const real pa = power(c.log_p, a), ps = power(c.log_p, s), qs = power(c.log_q, s), qb = power(c.log_q, b);
    if (std::fabs(r) * std::max({real(1), std::fabs(a), std::fabs(b), std::fabs(s)}) < 0.5L) {
      // q^s sum over k >= 2 of r^k / k! (s^(k-1) - a^(k-1)) / (s - a): a polynomial, whatever is 0
      real value = 0, term = r, a_k = 1, quotient = 0;
      for (int k = 2; k < 40; ++k) {
        term *= r / k;
        quotient = quotient * s + a_k;  // sum of s^i a^j, i + j = k - 2
        a_k *= a;
        value += term * quotient;
      }
      return {qs * value, a == 0 ? -qs * r : -qs * std::expm1(a * r) / a};
    }
    real value;
    if (a == 0 && b == 0) value = r * r / 2;
    else if (a == 0) value = ((qb == 0 ? 0 : -qb * b * r) - qb + power(c.log_p, b)) / (b * b);
    else if (b == 0) value = ((pa == 0 ? 0 : pa * a * r) - pa + power(c.log_q, a)) / (a * a);
    else if (s == 0) value = (-a * r + std::exp(a * r) - 1) / (a * a);
    else if (pa == real_infinity || qb == real_infinity || ps == real_infinity || qs == real_infinity) value = real_infinity;
    else value = -(pa * qb - a / s * ps - b / s * qs) / (a * b);
    return {value, a != 0 ? (qs - pa * qb) / a : qs == 0 ? 0 : -qs * r};
  };
}

// --- Whole rows -----------------------------------------------------------------------------------------------------

/// A row in long double: logits, one temperature a side, and the label.
struct row_input {
  std::vector<real> student, teacher;
  real student_t = 1, teacher_t = 1;
  std::size_t label = 0;

  std::size_t classes() const { return student.size(); }
  std::vector<reference_class> softmaxes() const {
    std::vector<real> u, v, gap;
    const real s = *std::max_element(student.begin(), student.end()), t = *std::max_element(teacher.begin(), teacher.end());
    // t_i - s_i less t - s: of four numbers, with the rounding of each difference
    const auto lost = [](real a, real b) {
      const real d = a - b, back = d - a;
      return (a - (d - back)) - (b + back);
    };
    for (std::size_t i = 0; i < classes(); ++i) {
      u.push_back(student[i] / student_t);
      v.push_back(teacher[i] / teacher_t);
      const real x = student[i], y = teacher[i];
      const real both = ((y - x) - (t - s)) + (lost(y, x) - lost(t, s));
      const bool finite = x - x == 0 && y - y == 0;
      gap.push_back(student_t != teacher_t ? (y - t) / teacher_t - (x - s) / student_t : (finite ? both : y - x) / student_t);
    }
    return reference_classes(u, v, gap);
  }
  /// The same row without its label.
  row_input rest() const {
    row_input r = *this;
    const auto at = static_cast<std::ptrdiff_t>(label);
    r.student.erase(r.student.begin() + at);
    r.teacher.erase(r.teacher.begin() + at);
    return r;
  }
};

using reference_loss = std::function<reference_row(const row_input&)>;

inline reference_row divergence_row(const divergence& phi, const row_input& row) {
  const auto classes = row.softmaxes();
  reference_row out;
  std::vector<real> flow;
  real sum = 0;
  for (const auto& c : classes) {
    const reference_term t = phi(c);
    out.value += t.value;
    flow.push_back(t.flow);
    sum += t.flow;
  }
  for (std::size_t i = 0; i < classes.size(); ++i)
    out.gradient.push_back((flow[i] - classes[i].q * sum) / row.student_t);
  return out;
}
inline reference_loss over_classes(divergence phi) {
  return [phi = std::move(phi)](const row_input& row) { return divergence_row(phi, row); };
}

/// -sum y_i log q_i for any y.
inline reference_row cross_entropy_row(const row_input& row, std::span<const real> y) {
  std::vector<real> u;
  for (const real s : row.student) u.push_back(s / row.student_t);
  const auto log_q = log_softmax(u);
  reference_row out;
  real total = 0;
  for (const real v : y) total += v;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (y[i] != 0) out.value -= y[i] * log_q[i];
    out.gradient.push_back((total * std::exp(log_q[i]) - y[i]) / row.student_t);
  }
  return out;
}
inline reference_loss ref_cross_entropy(real smoothing) {
  return [=](const row_input& row) {
    std::vector<real> y(row.classes(), smoothing / static_cast<real>(row.classes()));
    y[row.label] += 1 - smoothing;
    return cross_entropy_row(row, y);
  };
}

/// a (1 - q_y), 1 - q_y the sum of the others.
inline reference_loss ref_reverse_cross_entropy(real a) {
  return [=](const row_input& row) {
    std::vector<real> u;
    for (const real s : row.student) u.push_back(s / row.student_t);
    const auto log_q = log_softmax(u);
    real rest = 0;
    for (std::size_t i = 0; i < u.size(); ++i)
      if (i != row.label) rest += std::exp(log_q[i]);
    const real by = a * std::exp(log_q[row.label]) / row.student_t;
    reference_row out;
    out.value = a * rest;
    for (std::size_t i = 0; i < u.size(); ++i) out.gradient.push_back(by * (i == row.label ? -rest : std::exp(log_q[i])));
    return out;
  };
}

/// Mean over classes of (s/T - t/T)^2.
inline reference_loss ref_mse() {
  return [](const row_input& row) {
    reference_row out;
    const auto n = static_cast<real>(row.classes());
    for (std::size_t i = 0; i < row.classes(); ++i) {
      if (row.student[i] == row.teacher[i]) {  // both may be -inf
        out.gradient.push_back(0);
        continue;
      }
      const real d = row.student_t == row.teacher_t ? (row.student[i] - row.teacher[i]) / row.student_t
                                                    : row.student[i] / row.student_t - row.teacher[i] / row.teacher_t;
      out.value += d * d / n;
      out.gradient.push_back(2 * d / n / row.student_t);
    }
    return out;
  };
}

/// A class with a sigmoid is a softmax over the logits (x, 0).
inline reference_loss ref_bernoulli(divergence phi) {
  return [phi = std::move(phi)](const row_input& row) {
    reference_row out;
    for (std::size_t i = 0; i < row.classes(); ++i) {
      row_input one;
      one.student = {row.student[i], 0}, one.teacher = {row.teacher[i], 0};
      one.student_t = row.student_t, one.teacher_t = row.teacher_t;
      const auto answer = one.softmaxes();
      const reference_term yes = phi(answer[0]), no = phi(answer[1]);
      out.value += yes.value + no.value;
      // not flow - q (sum of the flows), which loses the digits of 1 - q
      out.gradient.push_back((answer[1].q * yes.flow - answer[0].q * no.flow) / row.student_t);
    }
    return out;
  };
}

/// sum over ranks of |p_(k) - q_(k)|; the ranks of equal logits share their signs.
inline reference_loss ref_uld() {
  return [](const row_input& row) {
    const auto probabilities = [](std::vector<real> x, real t) {  // by falling logit
      std::sort(x.rbegin(), x.rend());
      const real top = x[0];
      real z = 0;
      for (real& v : x) z += v = std::exp((v - top) / t);
      for (real& v : x) v /= z;
      return x;
    };
    const std::size_t n = row.classes();
    const auto p = probabilities(row.teacher, row.teacher_t), q = probabilities(row.student, row.student_t);
    std::vector<std::size_t> order(n);
    for (std::size_t i = 0; i < n; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return row.student[a] > row.student[b]; });
    reference_row out;
    out.gradient.assign(n, 0);
    std::vector<real> slope(n);
    real average = 0;
    for (std::size_t k = 0; k < n;) {
      std::size_t last = k;
      real signs = 0;
      for (; last < n && row.student[order[last]] == row.student[order[k]]; ++last) {
        out.value += std::fabs(q[last] - p[last]);
        signs += q[last] > p[last] ? 1 : q[last] < p[last] ? -1 : 0;
      }
      for (std::size_t j = k; j < last; ++j) {
        slope[j] = signs / static_cast<real>(last - k);
        average += q[j] * slope[j];
      }
      k = last;
    }
    for (std::size_t k = 0; k < n; ++k) out.gradient[order[k]] = q[k] * (slope[k] - average) / row.student_t;
    return out;
  };
}

/// The places of the k highest, the highest first, of equal ones the first; none that is masked.
inline std::vector<std::size_t> highest_of(const std::vector<real>& x, std::size_t k) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] > -real_infinity) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] > x[b]; });
  order.resize(std::min(order.size(), k));
  return order;
}

/// The divergence of softmaxes over differences of pairs of the k highest classes, led by either side; 'b' both.
inline reference_loss ref_bild(std::size_t k, char leader, const divergence& phi, bool knee = false) {
  return [=](const row_input& row) {
    reference_row out;
    out.gradient.assign(row.classes(), 0);
    for (const char by : {'t', 's'}) {
      if (leader != 'b' && leader != by) continue;
      const auto& x = by == 't' ? row.teacher : row.student;
      const real t = by == 't' ? row.teacher_t : row.student_t;
      auto order = highest_of(x, k);
      if (order.size() < 3) continue;
      if (knee) {
        const auto power = [&](std::size_t i) { return std::exp((x[order[i]] - x[order[0]]) / t); };
        const auto last = static_cast<real>(order.size() - 1);
        std::size_t best = 0;
        real most = 0;
        for (std::size_t i = 0; i < order.size(); ++i) {
          const real y = (power(i) - power(order.size() - 1)) / (1 - power(order.size() - 1));
          const real below = 1 - static_cast<real>(i) / last - y;
          if (below > most) most = below, best = i;
        }
        if (best > 0) order.resize(std::max<std::size_t>(3, best + 1));
      }
      row_input pairs{{}, {}, row.student_t, row.teacher_t, 0};
      for (std::size_t i = 0; i < order.size(); ++i) {
        if (!(row.student[order[i]] > -real_infinity && row.teacher[order[i]] > -real_infinity)) {
          out.value = real_infinity;
          return out;
        }
        for (std::size_t j = i + 1; j < order.size(); ++j) {
          pairs.student.push_back(row.student[order[i]] - row.student[order[j]]);
          pairs.teacher.push_back(row.teacher[order[i]] - row.teacher[order[j]]);
        }
      }
      const auto c = pairs.softmaxes();
      real flows = 0;
      for (const auto& each : c) out.value += phi(each).value, flows += phi(each).flow;
      for (std::size_t i = 0, pair = 0; i < order.size(); ++i)
        for (std::size_t j = i + 1; j < order.size(); ++j, ++pair) {
          const real slope = (phi(c[pair]).flow - c[pair].q * flows) / row.student_t;
          out.gradient[order[i]] += slope, out.gradient[order[j]] -= slope;
        }
    }
    return out;
  };
}

/// Minus the log-likelihood of the teacher's order of the student's k highest classes, or of that order turned round.
inline reference_loss ref_reranked(std::size_t k, bool turned) {
  return [=](const row_input& row) {
    auto order = highest_of(row.student, k);
    std::sort(order.begin(), order.end());
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return row.teacher[a] > row.teacher[b]; });
    if (turned) std::reverse(order.begin(), order.end());
    reference_row out;
    out.gradient.assign(row.classes(), 0);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto less = [&](std::size_t a, std::size_t b) { return row.student[a] < row.student[b]; };
      const auto first = order.begin() + static_cast<std::ptrdiff_t>(i);
      const std::size_t top = *std::max_element(first, order.end(), less);
      real rest = 0;
      const auto power = [&](std::size_t c) { return std::exp((row.student[c] - row.student[top]) / row.student_t); };
      for (auto c = first; c != order.end(); ++c) rest += *c == top ? 0 : power(*c);
      out.value += (row.student[top] - row.student[order[i]]) / row.student_t + std::log1p(rest);
      for (auto c = first; c != order.end(); ++c) out.gradient[*c] += power(*c) / (1 + rest) / row.student_t;
      out.gradient[order[i]] -= 1 / row.student_t;
    }
    return out;
  };
}

/// alpha KL((p_y, 1 - p_y), (q_y, 1 - q_y)) + beta KL(p^, q^), p^ and q^ without y and normalised.
inline reference_loss ref_dkd(real alpha, real beta) {
  return [=](const row_input& row) {
    const auto c = row.softmaxes();
    const std::size_t y = row.label;
    reference_row out;
    out.gradient.assign(c.size(), 0);
    if (c.size() == 1) return out;
    real p = 0, q = 0, top_p = -real_infinity, top_q = top_p, widest = 0;
    for (std::size_t i = 0; i < c.size(); ++i)
      if (i != y) {
        p += c[i].p, q += c[i].q;
        top_p = std::max(top_p, c[i].log_p), top_q = std::max(top_q, c[i].log_q);
        widest = std::max(widest, std::fabs(c[i].r));
      }
    if (top_p == -real_infinity && top_q == -real_infinity) return out;  // all others masked
    // log(1 - p_y) - log(1 - q_y)
    real r = 0;
    if (widest < 0.5L) {
      for (std::size_t i = 0; i < c.size(); ++i)
        if (i != y) r += c[i].p / p * std::expm1(-c[i].r);
      r = -std::log1p(r);
    } else {
      real sum_p = 0, sum_q = 0;
      for (std::size_t i = 0; i < c.size(); ++i)
        if (i != y) sum_p += std::exp(c[i].log_p - top_p), sum_q += std::exp(c[i].log_q - top_q);
      r = (top_p + std::log(sum_p)) - (top_q + std::log(sum_q));
    }
    out.value = alpha * (reference_excess(c[y].p, c[y].q, c[y].r) + reference_excess(p, q, r));
    const auto minus = [](real a, real b, real log_ratio) {  // b - a, log_ratio = log a - log b
      return std::fabs(log_ratio) < 0.5L ? a * std::expm1(-log_ratio) : b - a;
    };
    const real d = c[y].p < p ? minus(c[y].p, c[y].q, c[y].r) : -minus(p, q, r);  // q_y - p_y
    const row_input rest = row.rest();
    const auto others = divergence_row(ref_forward_kl(), rest);
    const auto softmax = rest.softmaxes();
    if (beta != 0) out.value += beta * others.value;
    out.gradient[y] = alpha * d / row.student_t;
    for (std::size_t i = 0, j = 0; i < c.size(); ++i)
      if (i != y) {
        out.gradient[i] = -alpha * d * softmax[j].q / row.student_t + beta * others.gradient[j];
        ++j;
      }
    return out;
  };
}

/// -sum_i w_i log q_i, w_i = (p_i + [i = y])^gamma - [i = y].
inline reference_loss ref_ofa(real gamma) {
  return [=](const row_input& row) {
    const auto c = row.softmaxes();
    reference_row out;
    std::vector<real> w;
    real total = 0;
    for (std::size_t i = 0; i < c.size(); ++i) {
      w.push_back(i == row.label ? std::expm1(gamma * std::log1p(c[i].p)) : std::exp(gamma * c[i].log_p));
      total += w[i];
      if (w[i] > 0) out.value -= w[i] * c[i].log_q;
    }
    for (std::size_t i = 0; i < c.size(); ++i) out.gradient.push_back((total * c[i].q - w[i]) / row.student_t);
    return out;
  };
}

/// -p_y log q_y at T = 1, + gamma T^2 times the cross-entropy of p^ and q^ at T.
inline reference_loss ref_nkd(real gamma, real temperature) {
  return [=](const row_input& given) {
    row_input row = given;
    row.student_t = row.teacher_t = 1;
    const auto c = row.softmaxes();
    const std::size_t y = row.label;
    reference_row out;
    out.value = c[y].p == 0 ? 0 : -c[y].p * c[y].log_q;
    for (std::size_t i = 0; i < c.size(); ++i) out.gradient.push_back(c[y].p * (c[i].q - (i == y ? 1 : 0)));
    if (c.size() == 1) return out;
    row_input rest = row.rest();
    if (*std::max_element(rest.teacher.begin(), rest.teacher.end()) == -real_infinity) return out;
    rest.student_t = rest.teacher_t = temperature;
    const auto others = divergence_row(ref_soft_cross_entropy(), rest);
    const real w = gamma * temperature * temperature;
    out.value += w * others.value;
    for (std::size_t i = 0, j = 0; i < c.size(); ++i)
      if (i != y) out.gradient[i] += w * others.gradient[j++];
    return out;
  };
}

/// Row @p r of plain memory at one temperature.
template <class T>
row_input row_of(const T* student, const T* teacher, std::size_t classes, std::size_t label, double student_t,
                 double teacher_t) {
  row_input row;
  row.student.assign(student, student + classes);
  row.teacher.assign(teacher, teacher + classes);
  row.student_t = student_t;
  row.teacher_t = teacher_t;
  row.label = label;
  return row;
}

/// AKL: forward KL by the share of the head, the classes that come first until `head` is passed, in |p - q|.
inline reference_loss ref_adaptive_kl(real head) {
  return [head](const row_input& row) {
    const auto c = row.softmaxes();
    std::vector<std::size_t> order(c.size());
    for (std::size_t i = 0; i < c.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return c[a].p > c[b].p; });
    real sum = 0, in = 0, all = 0;
    const auto apart = [&](std::size_t i) { return c[i].p > 0 && c[i].q > 0 ? std::fabs(c[i].p * std::expm1(-c[i].r)) : c[i].p + c[i].q; };
    for (std::size_t k = 0; k < order.size();) {  // equal ones together: those that fit, by their share
      std::size_t last = k;
      real ties = 0;
      while (last < order.size() && row.teacher[order[last]] == row.teacher[order[k]]) ties += apart(order[last++]);
      real fit = 0;
      for (std::size_t i = k; i < last; ++i) sum += c[order[k]].p, fit += sum <= head + 1e-9L || i == 0 ? 1 : 0;
      in += ties * fit / static_cast<real>(last - k), all += ties;
      k = last;
    }
    const real w = all > 0 ? in / all : 0;
    const auto forward = over_classes(ref_forward_kl())(row), reverse = over_classes(ref_reverse_kl())(row);
    reference_row out;
    out.value = (w > 0 ? w * forward.value : 0) + (w < 1 ? (1 - w) * reverse.value : 0);
    for (std::size_t i = 0; i < c.size(); ++i) out.gradient.push_back(w * forward.gradient[i] + (1 - w) * reverse.gradient[i]);
    return out;
  };
}

}  // namespace limbeck_test

#endif
