#ifndef LIMBECK_TESTS_UNIT_RELATIONS_REFERENCE_HPP
#define LIMBECK_TESTS_UNIT_RELATIONS_REFERENCE_HPP

// The losses between samples by their definitions, naively, in long double, and the list of what they all have to
// stand.

#include "make_batch.hpp"

#include <limbeck/loss/relations/cka.hpp>
#include <limbeck/loss/relations/correlation_congruence.hpp>
#include <limbeck/loss/relations/dist.hpp>
#include <limbeck/loss/relations/neighbour_kl.hpp>
#include <limbeck/loss/relations/nst.hpp>
#include <limbeck/loss/relations/pkt.hpp>
#include <limbeck/loss/relations/rkd.hpp>
#include <limbeck/loss/relations/similarity_preserving.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace reference {

namespace lk = limbeck;
using real = long double;
using table = std::vector<std::vector<real>>;

template <class T>
table numbers(const std::vector<T>& x, std::size_t n) {
  table t(n, std::vector<real>(n == 0 ? 0 : x.size() / n));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t c = 0; c < t[i].size(); ++c) t[i][c] = static_cast<real>(x[i * t[i].size() + c]);
  return t;
}
inline real dot(const std::vector<real>& a, const std::vector<real>& b) {
  real s = 0;
  for (std::size_t c = 0; c < a.size(); ++c) s += a[c] * b[c];
  return s;
}
inline std::vector<real> minus(std::vector<real> a, const std::vector<real>& b) {
  for (std::size_t c = 0; c < a.size(); ++c) a[c] -= b[c];
  return a;
}
inline std::vector<real> unit(std::vector<real> a) {
  const real norm = std::sqrt(dot(a, a));
  if (norm > 0)
    for (real& v : a) v /= norm;
  return a;
}
inline table gram(const table& x) {
  table g(x.size(), std::vector<real>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j) g[i][j] = dot(x[i], x[j]);
  return g;
}
inline table units(table x) {
  for (auto& row : x) row = unit(row);
  return x;
}
inline table transposed(const table& x) {
  table t(x[0].size(), std::vector<real>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t c = 0; c < x[i].size(); ++c) t[c][i] = x[i][c];
  return t;
}
inline real huber(real x) { return std::fabs(x) < 1 ? x * x / 2 : std::fabs(x) - real(0.5); }

inline table lengths(const table& x) {
  table d(x.size(), std::vector<real>(x.size()));
  real sum = 0, count = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j) {
      const auto v = minus(x[i], x[j]);
      d[i][j] = std::sqrt(dot(v, v));
      sum += d[i][j];
      count += d[i][j] > 0;
    }
  if (sum > 0)
    for (auto& row : d)
      for (real& v : row) v *= count / sum;
  return d;
}
inline real value(const lk::rkd_distance&, const table& s, const table& t) {
  const table a = lengths(s), b = lengths(t);
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t j = 0; j < s.size(); ++j) sum += huber(a[i][j] - b[i][j]);
  return sum / static_cast<real>(s.size() * s.size());
}
inline real value(const lk::rkd_angle&, const table& s, const table& t) {
  real sum = 0;
  const std::size_t n = s.size();
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t k = 0; k < n; ++k)
        sum += huber(dot(unit(minus(s[j], s[i])), unit(minus(s[k], s[i]))) -
                     dot(unit(minus(t[j], t[i])), unit(minus(t[k], t[i]))));
  return sum / static_cast<real>(n * n * n);
}
inline real value(const lk::similarity_preserving&, const table& s, const table& t) {
  const table a = units(gram(s)), b = units(gram(t));
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i) sum += dot(minus(a[i], b[i]), minus(a[i], b[i]));
  return sum / static_cast<real>(s.size() * s.size());
}
inline real value(const lk::activation_matching&, const table& s, const table& t) {
  const table a = units(gram(units(s))), b = units(gram(units(t)));
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i) sum += 1 - dot(a[i], b[i]);
  return sum / static_cast<real>(s.size());
}
template <class F>
real pairs(const table& s, const table& t, const F& f) {
  const table a = gram(units(s)), b = gram(units(t));
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t j = 0; j < s.size(); ++j) sum += f(a[i][j], b[i][j]);
  return sum / static_cast<real>(s.size() * s.size());
}
inline real value(const lk::correlation_congruence& l, const table& s, const table& t) {
  const real g = static_cast<real>(l.gamma);
  return pairs(s, t, [&](real a, real b) {
    real d = 0, factorial = 1;
    for (std::size_t p = 0; p <= l.order; factorial *= static_cast<real>(++p))
      d += std::exp(-2 * g) * std::pow(2 * g, static_cast<real>(p)) / factorial *
           (std::pow(a, static_cast<real>(p)) - std::pow(b, static_cast<real>(p)));
    return d * d;
  });
}
inline real value(const lk::marginal_distance_matrix& l, const table& s, const table& t) {
  return pairs(s, t,
               [&](real a, real b) { return std::fmax(real(0), std::fabs(a - b) - static_cast<real>(l.margin)); });
}
inline real value(const lk::pkt& l, const table& s, const table& t) {
  table a = gram(units(s)), b = gram(units(t));
  const real e = static_cast<real>(l.epsilon);
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    real q = 0, p = 0;
    for (std::size_t j = 0; j < s.size(); ++j) q += (a[i][j] + 1) / 2, p += (b[i][j] + 1) / 2;
    for (std::size_t j = 0; j < s.size(); ++j) {
      const real y = (a[i][j] + 1) / 2 / q, z = (b[i][j] + 1) / 2 / p;
      sum += z * std::log((z + e) / (y + e));
    }
  }
  return sum / static_cast<real>(s.size() * s.size());
}
inline real value(const lk::linear_cka&, const table& s, const table& t) {
  const auto centre = [](table x) {
    x = transposed(x);
    for (auto& column : x) {
      real m = 0;
      for (const real v : column) m += v / static_cast<real>(column.size());
      for (real& v : column) v -= m;
    }
    return x;  // columns as rows
  };
  const table x = centre(s), y = centre(t);
  const auto square = [](const table& a, const table& b) {
    real sum = 0;
    for (const auto& f : a)
      for (const auto& g : b) sum += dot(f, g) * dot(f, g);
    return sum;
  };
  return 1 - square(x, y) / std::sqrt(square(x, x) * square(y, y));
}
inline real value(const lk::self_correlation&, const table& s, const table& t) {
  const table a = gram(units(s)), b = gram(units(t));
  real both = 0, x = 0, y = 0;
  for (std::size_t i = 0; i < s.size(); ++i) both += dot(a[i], b[i]), x += dot(a[i], a[i]), y += dot(b[i], b[i]);
  return 1 - both / std::sqrt(x * y);
}
inline real value(const lk::neighbour_kl& l, const table& s, const table& t) {
  const table a = gram(units(s)), b = gram(units(t));
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    std::vector<std::size_t> others;
    for (std::size_t j = 0; j < s.size(); ++j)
      if (j != i) others.push_back(j);
    std::stable_sort(others.begin(), others.end(), [&](std::size_t j, std::size_t k) { return b[i][j] > b[i][k]; });
    others.resize((std::min)(l.k, others.size()));
    real q = 0, p = 0;
    const auto power = [&](real cosine) { return std::exp(cosine / static_cast<real>(l.temperature)); };
    for (const std::size_t j : others) q += power(a[i][j]), p += power(b[i][j]);
    for (const std::size_t j : others) sum += power(b[i][j]) / p * std::log(power(b[i][j]) / p / (power(a[i][j]) / q));
  }
  return sum / static_cast<real>(s.size());
}
inline real pearson(const table& a, const table& b, real epsilon) {
  real sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    real x = 0, y = 0;
    for (std::size_t c = 0; c < a[i].size(); ++c) x += a[i][c], y += b[i][c];
    std::vector<real> u = a[i], v = b[i];
    for (real& w : u) w -= x / static_cast<real>(u.size());
    for (real& w : v) w -= y / static_cast<real>(v.size());
    sum += dot(u, v) / (std::sqrt(dot(u, u) * dot(v, v)) + epsilon);
  }
  return sum / static_cast<real>(a.size());
}
inline real value(const lk::dist& l, const table& s, const table& t) {
  const auto softmax = [&](table x) {
    for (auto& row : x) {
      real sum = 0;
      for (real& v : row) sum += v = std::exp(v / static_cast<real>(l.temperature));
      for (real& v : row) v /= sum;
    }
    return x;
  };
  const table q = softmax(s), p = softmax(t);
  const real square = static_cast<real>(l.temperature * l.temperature);
  return square * (static_cast<real>(l.beta) * (1 - pearson(q, p, static_cast<real>(l.epsilon))) +
                   static_cast<real>(l.gamma) * (1 - pearson(transposed(q), transposed(p), static_cast<real>(l.epsilon))));
}
inline real value(const lk::nst& l, const table& s, const table& t) {
  const auto channels = [&](const std::vector<real>& row) {
    table f;
    for (std::size_t c = 0; c < row.size(); c += l.positions)
      f.push_back(unit(std::vector<real>(row.begin() + static_cast<std::ptrdiff_t>(c),
                                         row.begin() + static_cast<std::ptrdiff_t>(c + l.positions))));
    return f;
  };
  const auto kernel = [](const table& a, const table& b) {
    real sum = 0;
    for (const auto& f : a)
      for (const auto& g : b) sum += dot(f, g) * dot(f, g);
    return sum / static_cast<real>(a.size() * b.size());
  };
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const table a = channels(s[i]), b = channels(t[i]);
    sum += kernel(a, a) + kernel(b, b) - 2 * kernel(a, b);
  }
  return sum / static_cast<real>(s.size());
}

/// f(loss, name, student columns, teacher columns), for each.
template <class F>
void each_loss(const F& f) {
  f(lk::rkd_distance{}, "rkd_distance", 9, 5);
  f(lk::rkd_angle{}, "rkd_angle", 9, 5);
  f(lk::similarity_preserving{}, "similarity_preserving", 9, 5);
  f(lk::activation_matching{}, "activation_matching", 9, 5);
  f(lk::correlation_congruence{}, "correlation_congruence", 9, 5);
  f(lk::correlation_congruence{.gamma = 1, .order = 4}, "correlation_congruence(1, 4)", 9, 5);
  f(lk::marginal_distance_matrix{}, "marginal_distance_matrix", 9, 5);
  f(lk::pkt{}, "pkt", 9, 5);
  f(lk::linear_cka{}, "linear_cka", 9, 5);
  f(lk::self_correlation{}, "self_correlation", 9, 5);
  f(lk::neighbour_kl{.k = 4, .temperature = 0.5}, "neighbour_kl", 9, 5);
  f(lk::dist{}, "dist", 9, 9);
  f(lk::dist{.beta = 1, .gamma = 2, .temperature = 4}, "dist(1, 2, 4)", 9, 9);
  f(lk::nst{.positions = 3}, "nst", 9, 6);
}

}  // namespace reference

#endif
