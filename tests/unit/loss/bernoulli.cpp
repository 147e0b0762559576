// A class with a sigmoid is a softmax over the logits (x, 0): each class is held against that row's definition.

#include "catch.hpp"
#include "make_specimen.hpp"

#include <limits>

using namespace limbeck_test;
namespace lk = limbeck;

namespace {

template <class Loss, class T>
void check_row(const Loss& loss, const divergence& phi, const std::vector<T>& s, const std::vector<T>& t, double temperature,
               real tolerance) {
  batch<T> b{1, s.size(), s, t, {0}};
  lk::workspace ws;
  const auto got = run_objective(lk::objective{lk::at_temperature(temperature, lk::unscaled(loss))}, b, ws);
  real value = 0;
  INFO("T = " << temperature << ", " << s.size() << " classes, first " << s[0] << " " << t[0]);
  for (std::size_t i = 0; i < s.size(); ++i) {
    row_input row;
    row.student = {s[i], 0}, row.teacher = {t[i], 0};
    row.student_t = row.teacher_t = temperature;
    const auto answer = row.softmaxes();
    const reference_term yes = phi(answer[0]), no = phi(answer[1]);
    value += yes.value + no.value;
    // not flow - q (sum of the flows), which loses the digits of 1 - q
    const real wanted = (answer[1].q * yes.flow - answer[0].q * no.flow) / row.student_t;
    INFO("class " << i << ": " << s[i] << " " << t[i] << ", " << got.gradient[i] << " for " << wanted);
    CHECK(std::fabs(static_cast<real>(got.gradient[i]) - wanted) <=
          tolerance * std::fabs(wanted) + 8 * std::numeric_limits<T>::min());
  }
  INFO(got.values[0] << " for " << value);
  if (value == real_infinity) {
    CHECK(got.values[0] == std::numeric_limits<T>::infinity());
  } else {
    CHECK(std::fabs(static_cast<real>(got.values[0]) - value) <= tolerance * value + 8 * std::numeric_limits<T>::min());
  }
}

template <class T, class Loss>
void check_loss(const Loss& loss, const divergence& phi) {
  const real tolerance = sizeof(T) == 4 ? 1e-5L : 1e-12L;
  for (const std::size_t classes : {1u, 2u, 17u, 100u})
    for (const double temperature : {0.5, 1.0, 20.0})
      for (const double apart : {-1.0, 1e-4, 0.01, 0.2}) {
        const auto b = random_batch<T>(1, classes, 7, 2.0, apart);
        check_row(loss, phi, b.student, b.teacher, temperature, tolerance);
      }
  for (const T far_out : {T(20), T(60), T(1e4)})  // every sign, near to each other and not
    for (const T s : {far_out, -far_out, T(0)})
      for (const T t : {far_out, -far_out, T(0)})
        for (const T apart : {T(0), T(0.25), T(3)})
          if (!(far_out > 1e3 && s * t < 0)) check_row(loss, phi, std::vector<T>{s + apart}, std::vector<T>{t}, 1, 4 * tolerance);
}

}  // namespace

TEMPLATE_TEST_CASE("bernoulli: value and gradient of each class are those of a softmax over two", "", float, double) {
  check_loss<TestType>(lk::bernoulli_kl{}, ref_forward_kl());
  check_loss<TestType>(lk::bernoulli_reverse_kl{}, ref_reverse_kl());
  check_loss<TestType>(lk::bernoulli{lk::jensen_shannon{.beta = 0.3}}, ref_jensen_shannon(0.3L));
}

TEMPLATE_TEST_CASE("bernoulli: masked classes have the probability 0", "", float, double) {
  using T = TestType;
  const T inf = std::numeric_limits<T>::infinity();
  const real tolerance = sizeof(T) == 4 ? 1e-5L : 1e-12L;
  const auto value = [](const auto& loss, std::vector<T> s, std::vector<T> t) {
    lk::workspace ws;
    const auto got = run_objective(lk::objective{loss}, batch<T>{1, s.size(), s, t, {0}}, ws);
    for (const T g : got.gradient) CHECK(std::isfinite(g));
    return static_cast<double>(got.values[0]);
  };
  const lk::bernoulli js{lk::jensen_shannon{}};
  for (const auto& t : {T(-3), T(0), T(2)}) {
    const double p = 1 / (1 + std::exp(-static_cast<double>(t)));
    const auto close = [&](double x) { return Approx(x).epsilon(static_cast<double>(tolerance)); };
    CHECK(value(lk::bernoulli_kl{}, {-inf, t}, {t, t}) == std::numeric_limits<double>::infinity());
    CHECK(value(lk::bernoulli_kl{}, {t, t}, {-inf, t}) == close(-std::log1p(-p)));
    CHECK(value(lk::bernoulli_reverse_kl{}, {-inf, t}, {t, t}) == close(-std::log1p(-p)));
    CHECK(value(lk::bernoulli_reverse_kl{}, {t, t}, {-inf, t}) == std::numeric_limits<double>::infinity());
    const double m = p / 2, half = (std::log(2) * p - (1 - p / 2) * std::log1p(-m) * 2 + (1 - p) * std::log1p(-p)) / 2;
    CHECK(value(js, {-inf, t}, {t, t}) == close(half));
    CHECK(value(js, {t, -inf}, {t, t}) == close(half));
    CHECK(value(js, {t, -inf}, {t, -inf}) == 0);
  }
}

TEST_CASE("bernoulli: agreement is exactly 0, and a cross-entropy is refused") {
  auto b = random_batch<float>(5, 37, 3);
  b.teacher = b.student;
  lk::workspace ws;
  const auto got = run_objective(lk::bernoulli_kl{} + lk::bernoulli{lk::total_variation{}}, b, ws);
  for (const float v : got.values) CHECK(v == 0);
  for (const float g : got.gradient) CHECK(g == 0);
  CHECK_THROWS_AS(run_objective(lk::objective{lk::bernoulli{lk::soft_cross_entropy{}}}, b, ws), lk::value_error);
  CHECK_THROWS_AS(run_objective(lk::objective{lk::bernoulli{lk::jensen_shannon{.beta = 2}}}, b, ws), lk::value_error);
}
