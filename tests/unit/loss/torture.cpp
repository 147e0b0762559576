// Every loss over rows of every kind: short and long, close and far apart, masked on either side, of any offset and scale.
// Value and gradient are compared with the definition in long double; guide/precision.md says what is promised.

#include "catch.hpp"
#include "specimens.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <map>
#include <sstream>

using namespace limbeck_test;

namespace {

/// How a row is made: normal logits of one scale, the teacher's this far from the student's or its own (-1), then a class or two
/// far down or up, then offsets. Masks: 1 the student's, 2 the teacher's, 3 the same on both, others none.
struct recipe {
  std::size_t classes;
  double scale, apart, student_offset, teacher_offset, temperature, wide;
  int masks;
};

recipe random_recipe(std::mt19937& random) {
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
std::string in_words(const recipe& r) {
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

/// What a value and a gradient may be off, as the guide says it.
struct bounds {
  real value, gradient;
};
template <class T>
bounds promised(const specimen& loss, const batch<T>& b, double at, const reference_row& expected) {
  const real ulp = std::numeric_limits<T>::epsilon(), least = 1e-34L;
  const bool kink = loss.name == "total_variation";
  if (loss.name == "nkd") at = std::min(1.0, loss.parameters[1]);
  const auto t = static_cast<real>(at);
  real tolerance = sizeof(T) == 4 ? 1e-5L : loss.name == "dkd" || loss.name == "nkd" ? 5e-12L : 1e-12L;
  if (kink && sizeof(T) == 4) tolerance *= 5;  // linear in what is left of the rounding of kappa
  // cross-entropies are differences of logarithms near the size of the row's, total variation has flows of q/2
  real unit = kink ? 0.5L : 0;
  if (loss.name == "cross_entropy" || loss.name == "soft_cross_entropy") unit = 1;
  if (loss.name == "nkd") unit = 1 + static_cast<real>(loss.parameters[0] * loss.parameters[1] * loss.parameters[1]);

  const auto row = row_of(b.student.data(), b.teacher.data(), b.classes, static_cast<std::size_t>(b.labels[0]), at, at);
  const auto c = row.softmaxes();
  // exp(-x) is right to x ulps
  real powers = 0, size = 0, mean_exponent = 0, widest = 0;
  for (const auto& x : c) {
    const real p = std::max(x.p, x.q), part = p * std::fabs(x.r);
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
  const bool domains = loss.name == "dkd" || loss.name == "nkd";  // each with its own maxima
  const bool both = steady(row.student) && steady(row.teacher);
  const bool of_teacher = std::fabs(highest(row.teacher)) >= std::fabs(highest(row.student));
  real value = 0, gradient = 0;
  for (std::size_t i = 0; i < c.size(); ++i) {
    const real x = std::fabs(of_teacher ? row.teacher[i] : row.student[i]);
    const real y = std::fabs(of_teacher ? row.student[i] : row.teacher[i]);
    const real other = domains ? std::max(x, y) : y > x ? y : 0;
    const real off = 8 * ulp * size + (!both && other < real_infinity ? ulp * other / t : 0);
    const real p = std::max(c[i].p, c[i].q), r = std::min(std::fabs(c[i].r), real(1));
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

/// The largest errors of a loss, as parts of what is promised.
struct record {
  std::size_t cases = 0;
  real value = 0, gradient = 0, relative_value = 0;
};

/// Random rows through every loss: finite gradients, infinite values where the definition is infinite, errors within bounds.
template <class T>
std::map<std::string, record> torture(std::size_t rounds, bool strict = true) {
  std::map<std::string, record> records;
  std::mt19937 random(20);
  auto losses = all_specimens();
  for (auto& s : alpha_specimens()) losses.push_back(std::move(s));
  for (std::size_t i = 0; i < rounds; ++i) {
    const recipe r = random_recipe(random);
    const auto b = make_row<T>(r, random);
    for (const auto& loss : losses) {
      const auto got = loss(b, r.temperature);
      const auto expected = loss.expected(b, 0, r.temperature);
      INFO(loss.title() << (sizeof(T) == 4 ? " in float: " : " in double: ") << in_words(r));
      REQUIRE(std::all_of(got.gradient.begin(), got.gradient.end(), [](T g) { return g - g == 0; }));
      if (!(expected.value <= static_cast<real>(std::numeric_limits<T>::max()))) {
        REQUIRE(got.values[0] == infinity<T>);
        continue;
      }
      // powers of p/q beyond half the largest number count as infinite
      if (loss.name == "alpha_divergence" && got.values[0] == infinity<T> &&
          expected.value >= static_cast<real>(std::numeric_limits<T>::max()) / 8)
        continue;
      real off = 0;
      for (std::size_t c = 0; c < b.classes; ++c) {
        const real d = static_cast<real>(got.gradient[c]) - expected.gradient[c];
        off += d * d;
      }
      const bounds bound = promised(loss, b, r.temperature, expected);
      const real miss = std::fabs(static_cast<real>(got.values[0]) - expected.value);
      const real value = miss / bound.value, gradient = std::sqrt(off) / bound.gradient;
      record& best = records[loss.title()];
      ++best.cases;
      best.value = std::max(best.value, value), best.gradient = std::max(best.gradient, gradient);
      if (expected.value > 0) best.relative_value = std::max(best.relative_value, std::min<real>(miss / expected.value, 1));
      INFO("value " << static_cast<double>(expected.value) << ", got " << got.values[0] << ": " << static_cast<double>(value)
                    << " of the bound; gradient " << static_cast<double>(gradient) << " of the bound");
      if (!strict) continue;
      REQUIRE(value <= 1);
      REQUIRE(gradient <= 1);
      if (loss.name != "cross_entropy" && loss.name != "soft_cross_entropy" && loss.name != "nkd") REQUIRE(got.values[0] >= 0);
    }
  }
  return records;
}

/// Finite logits of any size: what is finite and can be held is finite, with a finite gradient; what cannot is +inf.
template <class T>
void check_large() {
  constexpr T most = std::numeric_limits<T>::max();
  auto losses = all_specimens();
  for (auto& s : alpha_specimens()) losses.push_back(std::move(s));
  for (const double size : {1e4, 1e10, 1e15, 1e25, 9e29, 1e100, 9e299})
    for (const auto& loss : losses) {
      if (sizeof(T) == 4 && size > 1e30) continue;
      const T x = static_cast<T>(size);
      const batch<T> b{1, 4, {x, -x, 0, x / 2}, {-x / 4, x, 1, 0}, {1}};
      const auto got = loss(b, 1);
      const auto expected = loss.expected(b, 0, 1);
      INFO(loss.title() << ", " << size << ": " << got.values[0] << ", expected " << static_cast<double>(expected.value));
      CHECK(std::all_of(got.gradient.begin(), got.gradient.end(), [](T g) { return g - g == 0; }));
      if (expected.value < static_cast<real>(most) / 4) {
        CHECK(std::fabs(static_cast<real>(got.values[0]) - expected.value) <= 1e-5L * expected.value);
      } else {
        CHECK(got.values[0] == infinity<T>);
      }
    }
}

}  // namespace

TEST_CASE("logits of any size in float") { check_large<float>(); }
TEST_CASE("logits of any size in double") { check_large<double>(); }
TEST_CASE("rows of every kind in float") { (void)torture<float>(500); }
TEST_CASE("rows of every kind in double") { (void)torture<double>(300); }

// Not run by itself: thirty times as many rows, and a line a loss, of the largest errors as they are.
TEST_CASE("rows of every kind: a table", "[.]") {
  const auto show = [](const char* type, const std::map<std::string, record>& records) {
    for (const auto& [name, r] : records)
      std::cout << type << ' ' << name << ": " << r.cases << " rows, worst value " << static_cast<double>(r.value)
                << " and gradient " << static_cast<double>(r.gradient) << " of the bound, worst relative error of a value "
                << static_cast<double>(r.relative_value) << '\n';
  };
  show("float", torture<float>(20000, false));
  show("double", torture<double>(10000, false));
}
