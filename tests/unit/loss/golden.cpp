// The numbers of tests/golden: PyTorch's autograd in double, see the README there.

#include "golden.hpp"
#include "catch.hpp"
#include "specimens.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace limbeck_test;

namespace {

template <class T>
void check_golden(const golden_case& golden, const specimen& loss, double tolerance) {
  // where one class has nearly all of the probability, a value or a gradient is the difference of numbers near 1
  const double ulps = 2 * static_cast<double>(std::numeric_limits<T>::epsilon());
  const batch<T> b{golden.rows, golden.classes, as<T>(golden.student), as<T>(golden.teacher), golden.labels};
  const auto got = loss(b, golden.temperature);
  INFO(golden.title() << (sizeof(T) == 4 ? " in float" : " in double"));
  double total = 0;
  for (std::size_t r = 0; r < golden.rows; ++r) {
    const double value = golden.values[r];
    INFO("row " << r);
    if (std::isinf(value)) {
      CHECK(static_cast<double>(got.values[r]) == value);
    } else {
      CHECK(std::fabs(static_cast<double>(got.values[r]) - value) <=
            tolerance * std::fabs(value) + std::max(ulps, 1e-14));
    }
    total += value;
    double largest = 0, off = 0;
    for (std::size_t i = r * golden.classes; i < (r + 1) * golden.classes; ++i) {
      largest = std::max(largest, std::fabs(golden.gradient[i]));
      off = std::max(off, std::fabs(static_cast<double>(got.gradient[i]) - golden.gradient[i]));
    }
    CHECK(off <= tolerance * largest + std::max(ulps, 1e-14));
  }
  const double scale = std::pow(golden.temperature, golden.power) / static_cast<double>(golden.rows);
  CHECK(golden.mean == Approx(total * scale).epsilon(1e-9).margin(1e-14));
}

}  // namespace

TEST_CASE("golden values") {
  std::size_t found = 0, other = 0;
  for (const auto& golden : read_golden(LIMBECK_GOLDEN_DIR "/losses.txt")) {
    if (golden.loss == "nkd_kl") {  // not a loss of the library
      ++other;
      continue;
    }
    for (const specimen& loss : all_specimens()) {
      if (loss.name != golden.loss || loss.parameters != golden.parameters) continue;
      ++found;
      check_golden<float>(golden, loss, 2e-6);
      check_golden<double>(golden, loss, 1e-12);
    }
  }
  CHECK(found == 143);
  CHECK(other == 5);
}
