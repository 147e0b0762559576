#ifndef LIMBECK_TESTS_UNIT_LOSS_TORTURE_HPP
#define LIMBECK_TESTS_UNIT_LOSS_TORTURE_HPP

// Rows of every kind: short and long, close and far apart, masked on either side, of any offset and scale; and what
// guide/precision.md promises of them.

#include "specimens.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace limbeck_test {

/// How a row is made: normal logits of one scale, the teacher's this far from the student's or its own (-1), then a class or two
/// far down or up, then offsets. Masks: 1 the student's, 2 the teacher's, 3 the same on both, others none.
struct recipe {
  std::size_t classes;
  double scale, apart, student_offset, teacher_offset, temperature, wide;
  int masks;
};

inline recipe random_recipe(std::mt19937& random) {
  const auto one_of = [&](auto... x) {
    const double all[] = {static_cast<double>(x)...};
    return all[random() % sizeof...(x)];
  };
  recipe r{};
  r.classes = random() % 16 == 0 ? 1000 + random() % 2000 : std::max<std::size_t>(2, 1 + random() % 70);
  r.scale = one_of(1e-4, 1e-2, 0.3, 1, 2, 4, 10);
  r.apart = one_of(-1, 1e-4, 1e-3, 0.01, 0.1, 0.5);
  r.student_offset = one_of(0, 0, 0, 3, -40, 1024, 8192, 1048576);
  r.teacher_offset = one_of(0, 0, 0, 5, 100, -1024, 1048576);
  r.temperature = one_of(0.5, 1, 2, 4, 20, 1000);
  r.wide = one_of(0, 0, 0, 2, 18, 200);
  r.masks = static_cast<int>(random() % 6);
  if (r.masks == 1 || r.masks == 2) r.wide = std::min(r.wide, 18.0);  // a probability that underflows says nothing of a mask
  return r;
}
inline std::string in_words(const recipe& r) {
  std::ostringstream s;
  s << r.classes << " classes, scale " << r.scale << ", apart " << r.apart << ", offsets " << r.student_offset << " and "
    << r.teacher_offset << ", T = " << r.temperature << ", wide " << r.wide << ", masks " << r.masks;
  return s.str();
}

template <class T>
batch<T> make_row(const recipe& r, std::mt19937& random) {
  auto b = random_batch<T>(1, r.classes, static_cast<std::uint32_t>(random()), r.scale, r.apart < 0 ? r.apart : r.apart * r.scale);
  for (int k = 0; k < 2; ++k) {  // on one side or on both
    const std::size_t c = random() % r.classes;
    const T by = static_cast<T>(random() % 2 ? r.wide : -r.wide);
    if (random() % 3) b.student[c] += by;
    if (random() % 3) b.teacher[c] += by;
  }
  for (T& x : b.student) x = static_cast<T>(static_cast<double>(x) + r.student_offset);
  for (T& x : b.teacher) x = static_cast<T>(static_cast<double>(x) + r.teacher_offset);
  const std::size_t label = random() % r.classes, kept = (label + 1) % r.classes;  // two that no side masks
  b.labels[0] = static_cast<int>(label);
  for (std::size_t c = 0; c < r.classes && r.masks < 4; ++c) {
    if (c == label || c == kept || random() % 4) continue;
    if (r.masks == 1 || r.masks == 3) b.student[c] = -infinity<T>;
    if (r.masks == 2 || r.masks == 3) b.teacher[c] = -infinity<T>;
  }
  return b;
}

/// How much a class weighs in a sum over classes.
inline real class_weight(const specimen& loss, const reference_class& x) {
  if (loss.name != "alpha_beta") return std::max(x.p, x.q);
  if (x.log_p == -real_infinity && x.log_q == -real_infinity) return 0;
  const real a = loss.parameters[0], b = loss.parameters[1];
  const auto power = [](real log, real k) { return k == 0 ? 1 : std::exp(k * log); };
  return 8 * std::max({power(x.log_p, a) * power(x.log_q, b), power(x.log_p, a + b), power(x.log_q, a + b)});  // its value has 1/a^2, and a is 1/2
}

/// What a value and a gradient may be off, as the guide says it.
struct bounds {
  real value, gradient;
};
template <class T>
bounds promised(const specimen& loss, const batch<T>& b, double student_at, double teacher_at, const reference_row& expected,
                bool of_domain = false) {
  const real ulp = std::numeric_limits<T>::epsilon(), least = 1e-34L;
  const bool kink = loss.name == "total_variation";
  const auto t = static_cast<real>(loss.name == "nkd" ? std::min(1.0, loss.parameters[1]) : std::min(student_at, teacher_at));
  real tolerance = sizeof(T) == 4 ? 1e-5L : loss.name == "dkd" || loss.name == "nkd" ? 5e-12L : 1e-12L;
  if (kink && sizeof(T) == 4) tolerance *= 5;  // linear in what is left of the rounding of kappa
  // cross-entropies are differences of logarithms near the size of the row's, total variation has flows of q/2
  real unit = kink ? 0.5L : 0;
  if (loss.name == "cross_entropy" || loss.name == "soft_cross_entropy") unit = 1;
  if (loss.name == "nkd") unit = 1 + static_cast<real>(loss.parameters[0] * loss.parameters[1] * loss.parameters[1]);

  const auto row = row_of(b.student.data(), b.teacher.data(), b.classes, static_cast<std::size_t>(b.labels[0]), student_at, teacher_at);
  const auto c = row.softmaxes();
  // exp(-x) is right to x ulps
  real powers = 0, size = 0, mean_exponent = 0, widest = 0;
  for (const auto& x : c) {
    const real p = class_weight(loss, x), part = p * std::fabs(x.r);
    if (!(part > 0 && part < real_infinity)) continue;
    size += part, mean_exponent -= part * std::log(p);
    if (x.q > 0) widest = std::max(widest, -x.log_q);
  }
  if (size > 0) tolerance += 2 * ulp * mean_exponent / size;
  if (loss.name == "alpha_divergence" && std::fabs(loss.parameters[0] - 0.5) > 0.5)  // sums of p^2/q
    powers = 4 * ulp * std::min(widest, 1 / ulp);
  // a class of which one side is the larger, in rows whose logits are of several sizes and lie apart
  const auto highest = [](const auto& x) { return *std::max_element(x.begin(), x.end()); };
  const auto steady = [&](const auto& x) {
    const real top = highest(x);
    return std::all_of(x.begin(), x.end(), [&](real v) { return v == -real_infinity || (top > 0 ? 2 * v >= top : v >= 2 * top); });
  };
  const bool domains = of_domain || student_at != teacher_at || loss.name == "dkd" || loss.name == "nkd";  // each with its own maxima
  const bool both = steady(row.student) && steady(row.teacher);
  const bool of_teacher = std::fabs(highest(row.teacher)) >= std::fabs(highest(row.student));
  real value = 0, gradient = 0;
  for (std::size_t i = 0; i < c.size(); ++i) {
    const real x = std::fabs(of_teacher ? row.teacher[i] : row.student[i]);
    const real y = std::fabs(of_teacher ? row.student[i] : row.teacher[i]);
    const real other = domains ? std::max(x, y) : y > x ? y : 0;
    const real off = 8 * ulp * size + (!both && other < real_infinity ? ulp * other / t : 0);
    const real p = class_weight(loss, c[i]);
    const real r = std::min(std::fabs(c[i].r), loss.name == "alpha_beta" ? real(1e4) : real(1));  // squares of it, or its exponential
    value += p * off * (kink ? 1 : r + off);
    gradient += p * p * off * off;
    if (kink && r <= 2 * off + tolerance) gradient += p * p;
  }
  real norm = 0;
  for (const real g : expected.gradient) norm += g * g;
  tolerance += powers;
  return {tolerance * expected.value + (kink ? 0 : 16 * ulp * unit) + 2 * value + least,
          tolerance * std::sqrt(norm) + ((4 * ulp + powers) * (unit + expected.value) + 2 * std::sqrt(gradient)) / t + least};
}

}  // namespace limbeck_test

#endif
