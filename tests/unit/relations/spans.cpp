// What neighbouring tokens of a span have in common.

#include "catch.hpp"
#include "make_batch.hpp"

#include <limbeck/relations.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace lk = limbeck;
using limbeck_test::features;
using real = long double;

namespace {

const std::vector<int> spans{0, 0, 0, -1, -1, 2, 2, 3, 3, 3, 3};
constexpr std::size_t n = 11, width = 9;

/// The sum over rows that count and follow one another of w_r times the distance, by its definition.
real definition(const features<double>& x, const std::vector<double>& weights) {
  const auto softmax = [](const std::vector<double>& all, std::size_t r) {
    std::vector<real> p(width);
    real sum = 0;
    for (std::size_t c = 0; c < width; ++c) sum += p[c] = std::exp(static_cast<real>(all[r * width + c]));
    for (real& v : p) v /= sum;
    return p;
  };
  real total = 0;
  for (std::size_t r = 0; r + 1 < n; ++r) {
    if (spans[r] < 0 || spans[r] != spans[r + 1] || weights[r] == 0 || weights[r + 1] == 0) continue;
    const auto a = softmax(x.student, r), b = softmax(x.student, r + 1), c = softmax(x.teacher, r), d = softmax(x.teacher, r + 1);
    real square = 0;
    for (std::size_t i = 0; i < width; ++i) square += (a[i] * b[i] - c[i] * d[i]) * (a[i] * b[i] - c[i] * d[i]);
    total += static_cast<real>(weights[r]) * std::sqrt(square);
  }
  return total;
}

struct answer {
  double loss;
  std::vector<double> gradient;
};
template <class... More>
answer call(const features<double>& x, const More&... more) {
  answer a{0, std::vector<double>(n * width, 7)};
  a.loss = lk::objective{lk::span_consistency(spans)}(x.s(), x.t(), lk::into(lk::rows<double>(a.gradient.data(), n, width)), more...).loss;
  return a;
}

}  // namespace

TEST_CASE("span_consistency: the definition, and both gradients") {
  features<double> x(n, width, width, 3);
  const auto loss = lk::span_consistency(spans);
  CHECK(x.run(loss) == Approx(static_cast<double>(definition(x, std::vector<double>(n, 1)) / 11)).epsilon(1e-13));
  CHECK(x.difference(loss) < 1e-7);
  CHECK(x.teacher_difference(loss) < 1e-7);
  for (std::size_t c = 0; c < width; ++c) CHECK((x.gradient[3 * width + c] == 0 && x.gradient[4 * width + c] == 0));
  features<float> f(x);
  CHECK(f.run(loss) == Approx(x.run(loss)).epsilon(1e-5));
#if defined(_OPENMP)
  const double alone = x.run(loss);
  const auto gradient = x.gradient;
  CHECK(x.run_on(lk::openmp{3}, loss) == alone);
  CHECK(x.gradient == gradient);
#endif
  x.student = x.teacher;
  CHECK(x.run(loss) == 0);
  CHECK(x.gradient == std::vector<double>(n * width, 0.0));
  const std::vector<int> single{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  CHECK(x.run(lk::span_consistency(single)) == 0);
}

TEST_CASE("span_consistency: weights, rows that do not count, and parts of a batch") {
  const features<double> x(n, width, width, 5);
  std::vector<double> w{1, 2, 0.5, 1, 1, 3, 1, 1, 0, 2, 1};
  double all = 0;
  for (const double v : w) all += v;
  const answer whole = call(x, lk::row_weights(w));
  CHECK(whole.loss == Approx(static_cast<double>(definition(x, w)) / all).epsilon(1e-13));
  for (std::size_t c = 0; c < width; ++c) CHECK(whole.gradient[8 * width + c] == 0);
  CHECK(call(x, lk::row_weights(w), lk::sum).loss == Approx(static_cast<double>(definition(x, w))).epsilon(1e-13));
  CHECK(call(x, lk::mean_over(6)).loss == Approx(static_cast<double>(definition(x, std::vector<double>(n, 1))) / 6).epsilon(1e-13));

  double sum = 0;  // cut where spans end
  for (const auto& [first, count] : {std::pair<std::size_t, std::size_t>{0, 5}, {5, 6}}) {
    const std::vector<int> part(spans.begin() + static_cast<std::ptrdiff_t>(first), spans.begin() + static_cast<std::ptrdiff_t>(first + count));
    const std::vector<double> own(w.begin() + static_cast<std::ptrdiff_t>(first), w.begin() + static_cast<std::ptrdiff_t>(first + count));
    const auto rows = [&, first = first, count = count](const std::vector<double>& of) {
      return lk::rows<const double>(of.data() + first * width, count, width);
    };
    sum += lk::objective{lk::span_consistency(part)}.value(rows(x.student), rows(x.teacher), lk::row_weights(own), lk::mean_over(all));
  }
  CHECK(sum == Approx(whole.loss).epsilon(1e-13));
}

TEST_CASE("span_consistency: masked classes, and what is wrong") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  features<double> x(n, width, width, 7);
  for (std::size_t r = 0; r < n; ++r) x.student[r * width + 2] = x.teacher[r * width + 4] = -infinity;
  CHECK(call(x).loss == Approx(static_cast<double>(definition(x, std::vector<double>(n, 1))) / 11).epsilon(1e-13));
  for (std::size_t r = 0; r < n; ++r) CHECK(call(x).gradient[r * width + 2] == 0);
  x.student[2] = x.teacher[4] = 0;
  x.student[4 * width] = infinity;  // of no span, so nobody looks
  CHECK(std::isfinite(call(x).loss));
  x.student[0] = infinity;
  CHECK_THROWS_WITH(call(x), Catch::Matchers::Contains("student is inf at row 0, column 0"));
  const std::vector<int> few(4, 0);
  CHECK_THROWS_WITH(x.value(lk::span_consistency(few)), Catch::Matchers::Contains("the spans of span_consistency"));
  features<double> narrow(n, 4, 5);
  CHECK_THROWS_AS(narrow.value(lk::span_consistency(spans)), lk::shape_error);
}
