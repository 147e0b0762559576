// The transcendental functions of the engine against the standard library in long double.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace {

template <class T>
constexpr long double ulp = std::numeric_limits<T>::epsilon();

/// Every lane of f(x) at n points from @p low to @p high; calls check(x, result).
template <class Lanes, class F, class Check>
void over(double low, double high, int n, F f, Check check) {
  using X = limbeck::pack<Lanes>;
  using T = typename Lanes::scalar;
  T in[X::lanes], out[X::lanes];
  for (int i = 0; i < n; i += X::lanes) {
    for (int k = 0; k < X::lanes; ++k) in[k] = static_cast<T>(low + (high - low) * (i + k) / n);
    Lanes::store(out, f(X::from(Lanes::load(in))).v);
    for (int k = 0; k < X::lanes; ++k) check(static_cast<long double>(in[k]), static_cast<long double>(out[k]));
  }
}

/// The worst relative error, in ulps.
template <class Lanes, class F, class G>
long double worst(double low, double high, F f, G exact, int n = 40000) {
  long double w = 0;
  over<Lanes>(low, high, n, f, [&](long double x, long double y) {
    const long double e = exact(x);
    if (e != 0) w = std::max(w, std::fabs(y - e) / std::fabs(e));
  });
  return w / ulp<typename Lanes::scalar>;
}

template <class Lanes>
void check_math() {
  using T = typename Lanes::scalar;
  using limbeck::detail::exp2_any;
  using limbeck::detail::exp2_negative;
  using limbeck::detail::exp_excess_ratio;
  using limbeck::detail::log1p_excess;
  using limbeck::detail::log_positive;
  const double lowest = sizeof(T) == 4 ? -125 : -1021, tiny = std::numeric_limits<T>::min();

  const auto exp2 = [](auto x) { return exp2_negative(x); };
  CHECK(worst<Lanes>(-1, 1, exp2, [](long double x) { return std::exp2(x); }) < 2);
  CHECK(worst<Lanes>(lowest, 0, exp2, [](long double x) { return std::exp2(x); }) < 2);
  CHECK(worst<Lanes>(
            0, -lowest, [](auto x) { return exp2_any(x); }, [](long double x) { return std::exp2(x); }) < 2);

  const auto log = [](auto x) { return log_positive(x); };
  const auto exact_log = [](long double x) { return std::log(x); };
  CHECK(worst<Lanes>(0.5, 2, log, exact_log) < 4);
  CHECK(worst<Lanes>(0.999, 1.001, log, exact_log) < 4);
  CHECK(worst<Lanes>(1, 300000, log, exact_log) < 2);
  CHECK(worst<Lanes>(tiny, 1e-30, log, exact_log) < 2);
  CHECK(worst<Lanes>(1e20, 1e37, log, exact_log) < 2);

  const auto excess = [](auto x) { return log1p_excess(x); };
  const auto exact_excess = [](long double x) {
    if (std::fabs(x) > 0.1L) return x - std::log1p(x);
    long double sum = 0, power = x * x;
    for (int k = 2; k < 40; ++k, power *= -x) sum += power / k;
    return sum;
  };
  CHECK(worst<Lanes>(-1e-3, 1e-3, excess, exact_excess) < 8);
  CHECK(worst<Lanes>(-0.25, 0.4, excess, exact_excess) < 8);
  CHECK(worst<Lanes>(-0.99, 20, excess, exact_excess) < 24);

  CHECK(worst<Lanes>(
            -0.5, 0.5, [](auto x) { return exp_excess_ratio(x); },
            [](long double x) {
              long double sum = 0, term = 0.5L;
              for (int k = 3; k < 40; ++k) sum += term, term *= -x / k;
              return sum;
            }) < 3);

  const auto root = [](auto x) { return sqrt(x); };
  const auto exact_root = [](long double x) { return std::sqrt(x); };
  CHECK(worst<Lanes>(1e-6, 2, root, exact_root) < 3);
  CHECK(worst<Lanes>(tiny, 1e-30, root, exact_root) < 3);
}

template <class Lanes>
void check_special() {
  using X = limbeck::pack<Lanes>;
  using T = typename Lanes::scalar;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const auto lane = [](const X& x) {
    T out[X::lanes];
    Lanes::store(out, x.v);
    for (int k = 1; k < X::lanes; ++k) CHECK(std::memcmp(&out[0], &out[k], sizeof(T)) == 0);
    return out[0];
  };
  using limbeck::detail::exp2_negative;
  CHECK(lane(exp2_negative(X(T(0)))) == 1);
  CHECK(lane(exp2_negative(X(T(-1)))) == T(0.5));
  CHECK(lane(exp2_negative(X(-inf))) == 0);
  CHECK(lane(exp2_negative(X(T(-1e30)))) == 0);
  CHECK(std::isnan(static_cast<double>(lane(exp2_negative(X(nan))))));
  CHECK(lane(limbeck::detail::log_positive(X(T(1)))) == 0);
  CHECK(lane(limbeck::detail::log1p_excess(X(T(0)))) == 0);
  CHECK(lane(sqrt(X(T(0)))) == 0);
  CHECK(std::fabs(lane(sqrt(X(T(4)))) - 2) < 1e-6);
  CHECK(lane(abs(X(T(-3)))) == 3);
  // the second operand where one is NaN, so that larger(floor, x) keeps it
  CHECK(std::isnan(static_cast<double>(lane(larger(X(T(1)), X(nan))))));
  CHECK(std::isnan(static_cast<double>(lane(smaller(X(T(1)), X(nan))))));
  CHECK(lane(larger(X(T(1)), X(T(2)))) == 2);
  CHECK(lane(smaller(X(T(1)), X(T(2)))) == 1);
  CHECK(lane(select(X(T(1)) < X(T(2)), X(T(5)), X(T(6)))) == 5);
  CHECK(lane(select(X(T(1)) > X(T(2)), X(T(5)), X(T(6)))) == 6);
  CHECK(Lanes::sum(X(T(1)).v) == X::lanes);
}

}  // namespace

TEST_CASE("transcendental functions of float packs") {
  check_math<limbeck::vector_lanes<float>>();
  check_special<limbeck::vector_lanes<float>>();
  check_special<limbeck::vector_lanes<float, 4>>();
}
TEST_CASE("transcendental functions of double packs") {
  check_math<limbeck::vector_lanes<double>>();
  check_special<limbeck::vector_lanes<double>>();
  check_special<limbeck::vector_lanes<double, 2>>();
}
TEST_CASE("transcendental functions of scalars") {
  check_math<limbeck::scalar_lanes<float>>();
  check_math<limbeck::scalar_lanes<double>>();
  check_special<limbeck::scalar_lanes<float>>();
  check_special<limbeck::scalar_lanes<double>>();
}

TEST_CASE("packs of all widths and scalars give the same bits") {
  using namespace limbeck;
  std::vector<float> x, wide, narrow, single;
  for (int i = 0; i < 4096; ++i) x.push_back(-static_cast<float>(i) * 0.031f);
  for (auto* v : {&wide, &narrow, &single}) v->resize(x.size());
  const auto run = [&]<class Lanes>(std::vector<float>& out) {
    for (std::size_t i = 0; i < x.size(); i += Lanes::count) {
      using X = pack<Lanes>;
      const X e = detail::exp2_negative(X::from(Lanes::load(&x[i])));
      Lanes::store(&out[i], (e + detail::log_positive(e + X(0.25f)) + sqrt(e)).v);
    }
  };
  run.operator()<vector_lanes<float>>(wide);
  run.operator()<vector_lanes<float, 4>>(narrow);
  CHECK(std::memcmp(wide.data(), narrow.data(), x.size() * sizeof(float)) == 0);
}

namespace {

/// What somebody writes who thinks of numbers.
template <class X>
X natural(const X& x) {
  return 0.5 * x + x / 2 - (1 - x) * 3 + 2.0f / x + select(x < 1, X(1), x) + select(2 > x, x, X(0)) + log(x) + exp(-x) +
         pow(x, 1.5) + sqrt(x) + abs(x - 1);
}

template <class Lanes>
void check_natural() {
  using T = typename Lanes::scalar;
  using X = limbeck::pack<Lanes>;
  const auto exact = [](long double x) {
    return 0.5L * x + x / 2 - (1 - x) * 3 + 2 / x + (x < 1 ? 1 : x) + (2 > x ? x : 0) + std::log(x) + std::exp(-x) +
           std::pow(x, 1.5L) + std::sqrt(x) + std::fabs(x - 1);
  };
  CHECK(worst<Lanes>(1.25, 1.9, [](auto x) { return natural(x); }, exact, 4000) < 20);
  CHECK(worst<Lanes>(-20, 20, [](auto x) { return exp(x); }, [](long double x) { return std::exp(x); }) < 22);
  CHECK(worst<Lanes>(0.01, 0.5, [](auto x) { return log(x); }, [](long double x) { return std::log(x); }) < 4);
  CHECK(worst<Lanes>(0.01, 9, [](auto x) { return pow(x, 0.5); }, [](long double x) { return std::sqrt(x); }) < 8);
  T out[X::lanes];
  const auto first = [&](const X& x) {
    Lanes::store(out, x.v);
    return static_cast<double>(out[0]);
  };
  CHECK(first(X(0) * log(X(0))) == 0);
  CHECK(first(log(X(0))) == Approx(std::log(static_cast<double>(std::numeric_limits<T>::min()))));
  CHECK(std::isnan(first(log(X(-1)))));
  CHECK(std::isnan(first(exp(X(std::numeric_limits<T>::quiet_NaN())))));
  CHECK(first(exp(X(-1e6f))) == 0);
  CHECK(first(pow(X(0), 2)) == 0);
}

}  // namespace

TEST_CASE("packs beside numbers, and functions of packs") {
  check_natural<limbeck::scalar_lanes<float>>();
  check_natural<limbeck::scalar_lanes<double>>();
  check_natural<limbeck::vector_lanes<float>>();
  check_natural<limbeck::vector_lanes<double>>();
}
