#ifndef LIMBECK_TOKENS_GRADIENT_ALIGNMENT_HPP
#define LIMBECK_TOKENS_GRADIENT_ALIGNMENT_HPP

/// @file
/// Where distillation pushes a token's logits, and where success would.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/problem.hpp>
#include <limbeck/engine/target.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The tokens of a row that were visited: q and p, log p - log q, and their value less its mean under q.
struct visited_tokens {
  std::vector<double> q{}, p{}, log_ratio{}, value{};

  template <class T, class U, class V>
  void read(const stored_rows<const T>& student, const stored_rows<const U>& teacher, const stored_rows<const V>& values, std::size_t r) {
    for (auto* x : {&q, &p, &log_ratio, &value}) x->clear();
    const auto finite = [&](const char* argument, double x, std::size_t c) {
      if (x - x != 0) throw_not_finite(argument, x, r, c);
      return x;
    };
    for (std::size_t c = 0; c < values.classes; ++c) {
      const auto v = static_cast<double>(values(r, c));
      if (v != v) continue;
      value.push_back(finite("values", v, c));
      q.push_back(finite("student", static_cast<double>(student(r, c)), c));
      p.push_back(finite("teacher", static_cast<double>(teacher(r, c)), c));
      log_ratio.push_back(p.back() - q.back());
    }
    const double shift = normalise(p) - normalise(q), average = average_of(value);
    for (double& x : log_ratio) x -= shift;
    for (double& x : value) x -= average;
  }
  /// The mean of x under q.
  double average_of(const std::vector<double>& x) const {
    double average = 0;
    for (std::size_t a = 0; a < x.size(); ++a) average += q[a] * x[a];
    return average;
  }

 private:
  /// Logits become probabilities; returns the logarithm of their normaliser.
  static double normalise(std::vector<double>& x) {
    double top = -std::numeric_limits<double>::infinity(), total = 0;
    for (const double v : x) top = v > top ? v : top;
    for (double& v : x) total += v = std::exp(v - top);
    for (double& v : x) v /= total;
    return top + std::log(total);
  }
};

/// out_r = f(the visited tokens of row r).
template <class S, class T, class V, class Out, class F>
void for_visited(const S& student, const T& teacher, const V& values, Out& out, const F& f) {
  require_host<S, T, V>();
  const auto s = tensor_traits<S>::view(student);
  const auto t = tensor_traits<T>::view(teacher);
  const auto v = tensor_traits<V>::view(values);
  if (t.samples != s.samples || t.classes != s.classes) throw_shape("teacher", t.samples, t.classes, s.samples, s.classes);
  if (v.samples != s.samples || v.classes != s.classes) throw_shape("values", v.samples, v.classes, s.samples, s.classes);
  const auto to = vector_memory(out);
  if (to.size != s.samples) throw_length("out", to.size, s.samples);
  visited_tokens tokens;
  for (std::size_t r = 0; r < s.samples; ++r) {
    tokens.read(stored_rows<const typename tensor_traits<S>::scalar>(s), stored_rows<const typename tensor_traits<T>::scalar>(t),
                stored_rows<const typename tensor_traits<V>::scalar>(v), r);
    put(to, r, f(tokens));
  }
}

}  // namespace detail

/// How far distillation at a token pushes where success lies: for each row the cosine, in [-1, 1], of g* and g.
///
/// g*_a = q_a (V_a - mean of V under q) is the slope by the student's logits of sum_a q_a V_a, V_a the chance of success behind
/// token a; g is where a step of distillation moves the logits: for the reverse KL, g_a = q_a (log p_a - log q_a - their mean
/// under q), for the forward one g = p - q. q and p are softmaxes over the tokens that were visited. 1: the teacher
/// pulls towards success; below 0, away from it. 0 where one of the two is 0, as with fewer than two tokens.
///
/// `gradient_alignment{}(student, teacher, values, out)`: three tensors of nodes x tokens, all of the vocabulary or those that
/// were visited, side by side; @p values holds V from rollouts of yours, NaN where a token was not visited; @p out is any vector of numbers, one a row.
/// A teacher, a context or a choice of tokens that has the higher mean is the better one, and nothing was trained. O(nodes x
/// tokens), on the host, where rollouts are.
/// @throws shape_error where shapes differ, value_error where a number of a visited token is not finite.
///
/// Armandpour et al., Unmasking On-Policy Distillation: Where It Helps, Where It Hurts, and Why, 2026, arXiv:2605.10889: the
/// abstract, and a summary of Sec. 2 (the ideal objective and the cosine). The slopes are derived here; which tokens the
/// authors visit, and how often, was not read.
struct gradient_alignment {
  bool forward = false;  ///< the step of KL(p, q) in the place of KL(q, p)

  /// The cosine of each row to @p out.
  template <tensor S, tensor T, tensor V, detail::sized_memory Out>
  void operator()(const S& student, const T& teacher, const V& values, Out&& out) const {
    detail::for_visited(student, teacher, values, out, [&](const detail::visited_tokens& x) {
      const double average = x.average_of(x.log_ratio);
      double both = 0, ideal = 0, taken = 0;
      for (std::size_t a = 0; a < x.q.size(); ++a) {
        const double g = x.q[a] * x.value[a], h = forward ? x.p[a] - x.q[a] : x.q[a] * (x.log_ratio[a] - average);
        both += g * h, ideal += g * g, taken += h * h;
      }
      return ideal > 0 && taken > 0 ? both / std::sqrt(ideal) / std::sqrt(taken) : 0;
    });
  }
};

/// How much likelier success is where the teacher chooses the token: sum_a (p_a - q_a) V_a of each row. Arguments as those of
/// `gradient_alignment`, whose source has it too. @throws as that.
template <tensor S, tensor T, tensor V, detail::sized_memory Out>
void teacher_advantage(const S& student, const T& teacher, const V& values, Out&& out) {
  detail::for_visited(student, teacher, values, out, [](const detail::visited_tokens& x) {
    double total = 0;
    for (std::size_t a = 0; a < x.q.size(); ++a) total += (x.p[a] - x.q[a]) * x.value[a];
    return total;
  });
}

LIMBECK_END_NAMESPACE

#endif
