#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <string>

namespace lk = limbeck;

TEST_CASE("schedules at their ends and between them") {
  CHECK(lk::constant(3)(0.7) == 3);
  CHECK(lk::linear(2, 6)(0) == 2);
  CHECK(lk::linear(2, 6)(0.25) == 3);
  CHECK(lk::linear(2, 6)(1) == 6);
  CHECK(lk::cosine(0.9, 0.5)(0) == Approx(0.9));
  CHECK(lk::cosine(0.9, 0.5)(0.5) == Approx(0.7));
  CHECK(lk::cosine(0.9, 0.5)(1) == Approx(0.5));
  CHECK(lk::exponential(8, 2)(0) == 8);
  CHECK(lk::exponential(8, 2)(0.5) == Approx(4));
  CHECK(lk::exponential(8, 2)(1) == Approx(2));
  CHECK(lk::exponential(-1, -4)(0.5) == Approx(-2));
}

TEST_CASE("schedules between their ends stay between their ends") {
  const auto check = [](const auto& s) {
    double last = s(0.0);
    for (int i = 1; i <= 100; ++i) {
      const double now = s(i / 100.0);
      CHECK(now <= last);
      last = now;
    }
  };
  check(lk::linear(3, -1));
  check(lk::cosine(3, -1));
  check(lk::exponential(3, 0.01));
  check(lk::step({{0.0, 3.0}, {0.3, 2.0}, {0.9, -1.0}}));
  check(lk::piecewise({{0.1, 3.0}, {0.3, 2.0}, {0.9, -1.0}}));
}

TEST_CASE("a staircase and straight lines between knots") {
  const lk::step stairs{{0.0, 1.0}, {0.5, 0.1}};
  CHECK(stairs(0) == 1.0);
  CHECK(stairs(0.499) == 1.0);
  CHECK(stairs(0.5) == 0.1);
  CHECK(stairs(1) == 0.1);
  CHECK(lk::step({{0.5, 7.0}, {0.6, 8.0}})(0.1) == 7);
  const lk::piecewise lines{{0.2, 1.0}, {0.6, 3.0}, {0.8, 0.0}};
  CHECK(lines(0) == 1);
  CHECK(lines(0.4) == Approx(2));
  CHECK(lines(0.6) == 3);
  CHECK(lines(0.7) == Approx(1.5));
  CHECK(lines(1) == 0);
}

TEST_CASE("warm-up, sequences and products") {
  const auto warm = lk::warm_up(0.1, 2.0);
  CHECK(warm(0) == 0);
  CHECK(warm(0.05) == Approx(1));
  CHECK(warm(0.1) == 2);
  CHECK(warm(1) == 2);
  CHECK(lk::warm_up(0, 2.0)(0) == 2);
  CHECK(lk::warm_up(1, lk::linear(1, 3))(0.5) == Approx(1));
  const auto two = lk::sequence(lk::linear(8, 2), 0.5, lk::linear(1, 0));
  CHECK(two(0) == 8);
  CHECK(two(0.25) == Approx(5));
  CHECK(two(0.5) == 1);
  CHECK(two(0.75) == Approx(0.5));
  CHECK(two(1) == 0);
  const auto product = lk::warm_up(0.5, lk::cosine(1, 0)) * lk::linear(2, 4);
  CHECK(product(0.25) == Approx(0.5 * lk::cosine(1, 0)(0.25) * 2.5));
  CHECK((0.5 * lk::linear(2, 4))(1) == 2);
  CHECK((lk::linear(2, 4) * 2)(1) == 8);
  static_assert(lk::schedule<decltype(product)>);
}

TEST_CASE("schedules refuse what they cannot mean") {
  CHECK_THROWS_WITH(lk::exponential(1, 0), Catch::Contains("exponential(1, 0)"));
  CHECK_THROWS_AS(lk::exponential(1, -2), lk::value_error);
  CHECK_THROWS_WITH((lk::step{{0.5, 1.0}, {0.25, 2.0}}), Catch::Contains("step") && Catch::Contains("0.25"));
  CHECK_THROWS_AS((lk::piecewise{{0.0, 1.0}, {1.5, 2.0}}), lk::value_error);
  CHECK_THROWS_AS((lk::piecewise{{0.5, 1.0}, {0.5, 2.0}}), lk::value_error);
  CHECK_THROWS_AS(lk::step(std::initializer_list<std::pair<double, double>>{}), lk::value_error);
  CHECK_THROWS_WITH(lk::warm_up(1.5, 1.0), Catch::Contains("warm_up(1.5"));
  CHECK_THROWS_WITH(lk::sequence(1.0, 0.0, 2.0), Catch::Contains("sequence"));
  CHECK_THROWS_AS(lk::sequence(1.0, 1.0, 2.0), lk::value_error);
}

TEST_CASE("progress is a fraction") {
  CHECK(lk::progress().fraction() == 0);
  CHECK(lk::progress(0, 11).fraction() == 0);
  CHECK(lk::progress(5, 11).fraction() == 0.5);
  CHECK(lk::progress(10, 11).fraction() == 1);
  CHECK(lk::progress(0, 1).fraction() == 0);
  CHECK_THROWS_AS(lk::progress(11, 11), lk::value_error);
  CHECK_THROWS_AS(lk::progress(1, 1), lk::value_error);
  CHECK_THROWS_AS(lk::progress(0, 0), lk::value_error);
  CHECK_THROWS_WITH(lk::progress(1.5), Catch::Contains("progress is 1.5"));
  CHECK_THROWS_AS(lk::progress(-0.1), lk::value_error);
  CHECK_THROWS_AS(lk::progress(std::numeric_limits<double>::quiet_NaN()), lk::value_error);
}

TEST_CASE("numbers in messages read as a person writes them") {
  using limbeck::detail::show;
  CHECK(show(4) == "4");
  CHECK(show(0.25) == "0.25");
  CHECK(show(-3) == "-3");
  CHECK(show(0) == "0");
  CHECK(show(1e-7) == "1e-7");
  CHECK(show(std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(show(-std::numeric_limits<double>::infinity()) == "-inf");
}
