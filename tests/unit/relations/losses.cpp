// What every loss between samples has to stand: its definition, central differences, precision, threads, strides, bad
// input.

#include "catch.hpp"
#include "reference.hpp"

#include <limits>
#include <string>

namespace {

namespace lk = limbeck;
using limbeck_test::features;
using reference::each_loss;
using reference::numbers;

TEST_CASE("relations: values are those of the definition, gradients those of central differences") {
  const auto check = [](const auto& loss, const char* name, std::size_t s, std::size_t t) {
    for (const std::size_t n : {2u, 3u, 11u, 34u}) {
      CAPTURE(name, n);
      features<double> x(n, s, t, static_cast<std::uint32_t>(n));
      const double expected = static_cast<double>(reference::value(loss, numbers(x.student, n), numbers(x.teacher, n)));
      const double value = x.run(loss);
      CHECK(value == Approx(expected).epsilon(1e-11).margin(1e-13));
      CHECK(x.value(loss) == value);
      if (n <= 11) CHECK(x.difference(loss) < 1e-6);
      if (n == 11) CHECK(x.teacher_difference(loss) < 1e-6);
    }
  };
  each_loss(check);
  check(lk::dist{.epsilon = 0.1}, "dist(epsilon 0.1)", 9, 9);  // not 0 where student and teacher are equal
}

TEST_CASE("relations: float agrees with double") {
  each_loss([](const auto& loss, const char* name, std::size_t s, std::size_t t) {
    CAPTURE(name);
    features<float> f(33, s, t);
    features<double> d(f);
    CHECK(f.run(loss) == Approx(d.run(loss)).epsilon(1e-4));
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < d.gradient.size(); ++i) {
      worst = (std::max)(worst, std::fabs(d.gradient[i] - static_cast<double>(f.gradient[i])));
      largest = (std::max)(largest, std::fabs(d.gradient[i]));
    }
    CHECK(worst < 1e-4 * largest);
  });
}

TEST_CASE("relations: the gradient is added to, and scaled") {
  each_loss([](const auto& loss, const char* name, std::size_t s, std::size_t t) {
    CAPTURE(name);
    features<double> x(7, s, t);
    const double value = x.run(loss);
    const std::vector<double> once = x.gradient;
    CHECK(x.over(loss, x.s(), x.t(), x.g(), -3, lk::serial{}) == value);
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(x.gradient[i] == Approx(-2 * once[i]).margin(1e-15));
  });
}

TEST_CASE("relations: a student that is its teacher has loss 0 and gradient 0") {
  each_loss([](const auto& loss, const char* name, std::size_t s, std::size_t) {
    CAPTURE(name);
    features<float> x(20, s, s);
    x.teacher = x.student;
    CHECK(std::fabs(x.run(loss)) < 1e-15);
    double tolerance = 1e-9;
    if (std::string(name) == "pkt") tolerance = 1e-6;  // its epsilon
    for (const float g : x.gradient) CHECK(std::fabs(static_cast<double>(g)) < tolerance);
  });
}

TEST_CASE("relations: threads and the order of strides change nothing") {
  each_loss([](const auto& loss, const char* name, std::size_t s, std::size_t t) {
    CAPTURE(name);
    features<float> x(37, s, t);
    const double value = x.run(loss);
    const std::vector<float> gradient = x.gradient;
#if defined(_OPENMP)
    for (const int threads : {2, 5}) {
      CHECK(x.run_on(lk::openmp{threads}, loss) == value);
      CHECK(x.gradient == gradient);
    }
#endif
    // columns first, with a gap, and every second number
    std::vector<float> student(2 * 40 * s), teacher(2 * 40 * t), slope(2 * 40 * s);
    const lk::rows<float> sv(student.data(), 37, s, 2, 80), tv(teacher.data(), 37, t, 2, 80),
        gv(slope.data(), 37, s, 2, 80);
    for (std::size_t i = 0; i < 37; ++i) {
      for (std::size_t c = 0; c < s; ++c) sv(i, c) = x.student[i * s + c];
      for (std::size_t c = 0; c < t; ++c) tv(i, c) = x.teacher[i * t + c];
    }
    CHECK(x.over(loss, sv, tv, gv, 1, lk::serial{}) == value);
    for (std::size_t i = 0; i < 37; ++i)
      for (std::size_t c = 0; c < s; ++c) REQUIRE(gv(i, c) == Approx(gradient[i * s + c]).epsilon(1e-5).margin(1e-9));
  });
}

TEST_CASE("relations: no samples, one, two at one place, none that differ") {
  each_loss([](const auto& loss, const char* name, std::size_t s, std::size_t t) {
    CAPTURE(name);
    features<double> none(0, s, t);
    CHECK(none.run(loss) == 0);
    const auto sane = [&](features<double>& x) {
      CHECK(std::isfinite(x.run(loss)));
      for (const double g : x.gradient) CHECK(std::isfinite(g));
    };
    features<double> one(1, s, t);
    sane(one);
    features<double> twins(6, s, t);
    for (std::size_t c = 0; c < s; ++c) twins.student[s + c] = twins.student[c];
    sane(twins);
    features<double> same(6, s, t);
    std::fill(same.student.begin(), same.student.end(), 0.1);
    sane(same);
    std::fill(same.teacher.begin(), same.teacher.end(), 0.3);
    sane(same);
    std::fill(same.student.begin(), same.student.end(), 0.0);
    sane(same);
  });
}

TEST_CASE("relations: a number that is not finite is named") {
  each_loss([](const auto& loss, const char* name, std::size_t s, std::size_t t) {
    CAPTURE(name);
    features<double> x(6, s, t);
    x.teacher[3 * t + 2] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH(x.run(loss), "limbeck: teacher is nan at row 3, column 2, expected a finite number");
    CHECK_THROWS_AS(x.value(loss), lk::value_error);
    x.student[2 * s + 1] = std::numeric_limits<double>::infinity();
    CHECK_THROWS_WITH(x.run(loss), "limbeck: student is inf at row 2, column 1, expected a finite number");
  });
}

TEST_CASE("relations: settings outside their range") {
  features<double> x(4, 6, 6);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(x.run(lk::dist{.temperature = 0}), "limbeck: dist.temperature is 0, expected a positive number");
  CHECK_THROWS_WITH(x.run(lk::dist{.epsilon = -1}), "limbeck: dist.epsilon is -1, expected a number of at least 0");
  CHECK_THROWS_WITH(x.run(lk::pkt{.epsilon = -1}), "limbeck: pkt.epsilon is -1, expected 0 or more");
  CHECK_THROWS_WITH(x.run(lk::correlation_congruence{.gamma = nan}),
                    "limbeck: correlation_congruence.gamma is nan, expected a finite number");
  CHECK_THROWS_WITH(x.run(lk::nst{.positions = 4}),
                    "limbeck: student has 6 columns, which are no whole number of channels of 4 positions");
  CHECK_THROWS_AS(x.run(lk::nst{.positions = 0}), lk::shape_error);
}

TEST_CASE("relations: after the first call nothing grows") {
  each_loss([](const auto& loss, const char* name, std::size_t s, std::size_t t) {
    CAPTURE(name);
    features<float> x(12, s, t);
    x.run(loss);
    const std::size_t held = x.memory.size();
    x.run(loss);
    CHECK(x.memory.size() == held);
  });
}

}  // namespace
