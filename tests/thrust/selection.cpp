// Selectors over pools on the device: the host's choices.
#include "catch.hpp"
#include "selection_cases.hpp"

using namespace limbeck_test;

TEST_CASE("device k_center: the host's rows, distances and radius", "[thrust][selection]") {
  CHECK(compare_k_center<float>() == findings{});
  CHECK(compare_k_center<double>() == findings{});
}

TEST_CASE("device k_center: every metric of the library, and weights", "[thrust][selection]") {
  CHECK(compare_metrics<float>() == findings{});
  CHECK(compare_metrics<double>() == findings{});
}

TEST_CASE("device selectors: the host's errors in the host's words", "[thrust][selection]") {
  CHECK(compare_selection_errors<float>() == findings{});
  CHECK(compare_selection_errors<double>() == findings{});
}

TEST_CASE("device rankings: the host's order of scores", "[thrust][selection]") {
  CHECK(compare_scores<float>() == findings{});
  CHECK(compare_scores<double>() == findings{});
  CHECK(compare_scores<int>() == findings{});
}

TEST_CASE("device rankings: the host's order of signals", "[thrust][selection]") {
  CHECK(compare_signals<float>() == findings{});
  CHECK(compare_signals<double>() == findings{});
}

TEST_CASE("device k_center: the host says whether it fuses", "[thrust][selection]") {
  const volatile float f = lk::detail::half_way<float>;
  const volatile double d = lk::detail::half_way<double>;
  const volatile float square = f * f;
  const volatile double double_square = d * d;
  CHECK(std::fma(float(f), float(f), 1.0f) != square + 1.0f);
  CHECK(std::fma(double(d), double(d), 1.0) != double_square + 1.0);
  CHECK(lk::detail::plus_square(1.0f, float(f), true) != square + 1.0f);
}
