// Accuracy, nll and ece against their definitions in long double; streaming changes nothing; bad rows are named.
#include "catch.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/trainer/metrics.hpp>

#include <cmath>
#include <limits>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Message;

TEST_CASE("metrics against their definitions", "[metrics]") {
  constexpr std::size_t n = 500, classes = 4;
  lk::random_stream r(3);
  std::vector<float> x(n * classes);
  std::vector<int> y(n);
  for (float& v : x) v = static_cast<float>(4 * r.normal());
  for (int& v : y) v = static_cast<int>(r.below(classes));
  for (std::size_t i = 0; i < n; i += 7) y[i] = -100;
  long double correct = 0, nll = 0, rows = 0, gap[15] = {};
  for (std::size_t i = 0; i < n; ++i) {
    if (y[i] == -100) continue;
    long double sum = 0, top = 0;
    std::size_t best = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      const long double e = std::exp(static_cast<long double>(x[i * classes + c]));
      sum += e;
      if (e > top) top = e, best = c;
    }
    const long double confidence = top / sum, hit = static_cast<int>(best) == y[i] ? 1 : 0;
    rows += 1;
    correct += hit;
    nll -= std::log(std::exp(static_cast<long double>(x[i * classes + static_cast<std::size_t>(y[i])])) / sum);
    for (int m = 0; m < 15; ++m)
      if (confidence > m / 15.0L && confidence <= (m + 1) / 15.0L) gap[m] += hit - confidence;
  }
  long double ece = 0;
  for (const long double g : gap) ece += std::abs(g) / rows;

  lk::classification_metrics whole, parts;
  whole.add(lk::rows<const float>(x.data(), n, classes), y);
  for (std::size_t i = 0; i < n; i += 33) {
    const std::size_t count = std::min<std::size_t>(33, n - i);
    parts.add(lk::rows<const float>(x.data() + i * classes, count, classes),
              std::vector<int>(y.begin() + static_cast<std::ptrdiff_t>(i),
                               y.begin() + static_cast<std::ptrdiff_t>(i + count)));
  }
  CHECK(whole.rows_counted() == static_cast<std::size_t>(rows));
  CHECK(whole.accuracy() == Approx(static_cast<double>(correct / rows)).epsilon(1e-14));
  CHECK(whole.nll() == Approx(static_cast<double>(nll / rows)).epsilon(1e-12));
  CHECK(whole.ece() == Approx(static_cast<double>(ece)).epsilon(1e-12));
  CHECK(parts.nll() == whole.nll());
  CHECK(parts.ece() == whole.ece());
}

TEST_CASE("ties, masked classes, extremes, nothing", "[metrics]") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{1, 1, 1, -inf, 0, -inf, 1e4f, -1e4f, 0};
  lk::classification_metrics m;
  m.add(lk::rows<const float>(x.data(), 3, 3), std::vector<int>{0, 1, 1});
  CHECK(m.accuracy() == Approx(2.0 / 3));  // the tie goes to class 0
  CHECK(m.nll() == Approx((std::log(3.0) + 0 + 2e4) / 3));
  CHECK(std::isnan(lk::classification_metrics{}.accuracy()));
}

TEST_CASE("a confidence at the end of a bin belongs to it", "[metrics]") {  // (4/15, 5/15] holds 1/3
  lk::classification_metrics m;
  const std::vector<double> x{0, 0, 0, 0.2, 0, 0, -0.1, 0, 0};  // 1/3, and 0.38 and 0.36 in the bin above
  m.add(lk::rows<const double>(x.data(), 3, 3), std::vector<int>{0, 1, 0});
  const double above = std::exp(0.2) / (std::exp(0.2) + 2), other = 1 / (std::exp(-0.1) + 2);
  CHECK(m.ece() == Approx((2.0 / 3 + above + other) / 3));
}

TEST_CASE("bad rows are named, and nothing is added", "[metrics]") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  lk::classification_metrics m;
  const auto add = [&](std::vector<float> x, std::vector<int> y) {
    m.add(lk::rows<const float>(x.data(), x.size() / 2, 2), y);
  };
  CHECK_THROWS_MATCHES(add({1, 2, 3, nan}, {0, 0}), lk::value_error,
                       Message("limbeck: logits is nan at row 1, column 1, expected a finite number or -inf"));
  CHECK_THROWS_MATCHES(add({inf, 2}, {0}), lk::value_error,
                       Message("limbeck: logits is inf at row 0, column 0, expected a finite number or -inf"));
  CHECK_THROWS_MATCHES(add({-inf, -inf}, {0}), lk::value_error, Message("limbeck: logits are all -inf at row 0"));
  CHECK_THROWS_MATCHES(add({1, 2, 1, 2}, {0, 2}), lk::value_error,
                       Message("limbeck: label is 2 at row 1, expected 0 to 1, or -100"));
  CHECK_THROWS_MATCHES(add({1, 2}, {0, 1}), lk::shape_error,
                       Message("limbeck: labels has 2 elements, expected 1 (one a row)"));
  CHECK(m.rows_counted() == 0);
}

}  // namespace
