// A loss of the whole batch, alone and beside losses of rows.

#include "catch.hpp"

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/dense.hpp>
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

namespace {

/// A library's matrix, whose product is its own.
struct their_matrix {
  std::vector<double> numbers;
  std::size_t samples, classes;
};
int their_products = 0;
/// The sum of x x^T, by the product that the batch brings.
struct sum_of_gram {
  using limbeck_loss = lk::batchwise;
  static constexpr bool needs_teacher = false;
  template <class T>
  double operator()(const lk::batch<T>& x) const {
    const std::size_t n = x.samples();
    const lk::rows<T> gram(x.memory.template take<T>(n * n).data(), n, n);
    x.dense.multiply(T(1), x.student, x.student.transposed(), T(0), gram, x.memory, x.on);
    double total = 0;
    for (std::size_t i = 0; i < n * n; ++i) total += static_cast<double>(gram.data[i]);
    return total;
  }
};

/// Half the squared distance of the batch's mean rows, times a weight of its own.
struct mean_gap {
  using limbeck_loss = lk::batchwise;
  double strength = 1;
  template <class T>
  double operator()(const lk::batch<T>& x) const {
    const auto gap = x.memory.template take<T>(x.student.classes);
    const auto n = static_cast<T>(x.samples());
    double value = 0;
    for (std::size_t c = 0; c < gap.size(); ++c) {
      gap[c] = T(0);
      for (std::size_t r = 0; r < x.samples(); ++r) gap[c] += (x.student(r, c) - x.teacher(r, c)) / n;
      value += 0.5 * strength * static_cast<double>(gap[c] * gap[c]);
      if (x.wants_gradient())
        for (std::size_t r = 0; r < x.samples(); ++r)
          x.gradient(r, c) += x.scale * static_cast<T>(strength) * gap[c] / n;
    }
    return value;
  }
};

/// Squared difference of the sums of all numbers: student and teacher may have different widths.
struct total_gap {
  using limbeck_loss = lk::batchwise;
  static constexpr bool any_width = true;
  template <class T>
  double operator()(const lk::batch<T>& x) const {
    T gap = 0;
    for (std::size_t r = 0; r < x.samples(); ++r) {
      for (std::size_t c = 0; c < x.student.classes; ++c) gap += x.student(r, c);
      for (std::size_t c = 0; c < x.teacher.classes; ++c) gap -= x.teacher(r, c);
    }
    if (x.wants_gradient())
      for (std::size_t r = 0; r < x.samples(); ++r)
        for (std::size_t c = 0; c < x.student.classes; ++c) x.gradient(r, c) += 2 * x.scale * gap;
    return static_cast<double>(gap * gap);
  }
};

const std::vector<double> student{1, 2, 0, 0, 1, 3}, teacher{0, 1, 1, 2, 2, 0};
const lk::rows<const double> s(student.data(), 2, 3), t(teacher.data(), 2, 3);

}  // namespace

template <>
struct limbeck::tensor_traits<their_matrix> : limbeck::tensor_traits<limbeck::rows<const double>> {
  static lk::rows<const double> view(const their_matrix& m) { return {m.numbers.data(), m.samples, m.classes}; }
  template <class T>
  static const lk::dense_primitives<T>& dense() {
    static constexpr lk::dense_primitives<T> products{
        [](T alpha, const lk::rows<const T>& a, const lk::rows<const T>& b, T beta, const lk::rows<T>& c, lk::scratch& memory,
           const lk::executor_ref& on) {
          ++their_products;
          lk::detail::packed<T, lk::detail::as_compiled>::multiply(alpha, a, b, beta, c, memory, on);
        }};
    return products;
  }
};

TEST_CASE("a batchwise loss multiplies with the student's own library", "[objective][batchwise]") {
  const their_matrix theirs{student, 2, 3};
  CHECK(lk::objective{sum_of_gram{}}.value(s) == Approx(19));  // the rows add up to (1, 3, 3)
  CHECK(their_products == 0);
  CHECK(lk::objective{sum_of_gram{}}.value(theirs) == Approx(19));
  CHECK(their_products == 1);
}

TEST_CASE("a batchwise loss alone", "[objective][batchwise]") {
  std::vector<double> g(6, 77.0);  // what was there is overwritten
  const double loss = lk::objective{mean_gap{.strength = 2}}(s, t, lk::into(lk::rows<double>(g.data(), 2, 3)));
  // means: (0.5, 1.5, 1.5) and (1, 1.5, 0.5)
  CHECK(loss == Approx(0.25 + 1));
  CHECK(g == std::vector<double>{-0.5, 0, 1, -0.5, 0, 1});
  const auto [value, gradient] = lk::objective{mean_gap{.strength = 2}}(s, t);
  CHECK(value == loss);
  CHECK(gradient == g);
  CHECK(lk::objective{mean_gap{}}.value(s, t) == Approx(0.625));
}

TEST_CASE("a batchwise loss beside losses of rows", "[objective][batchwise]") {
  const std::vector<int> labels{0, 2};
  const auto both = lk::cross_entropy{} + lk::linear(0.0, 4.0) * lk::named<"gap">(mean_gap{});
  std::vector<double> g(6), rows_alone(6), batch_alone(6);
  lk::workspace ws;
  const auto into = [](std::vector<double>& x) { return lk::into(lk::rows<double>(x.data(), 2, 3)); };
  const double loss = both(s, t, labels, lk::progress(0.5), into(g), ws);
  const double of_rows = lk::objective{lk::cross_entropy{}}(s, labels, into(rows_alone));
  const double of_batch = lk::objective{mean_gap{}}(s, t, into(batch_alone));
  CHECK(loss == Approx(of_rows + 2 * of_batch));
  for (std::size_t i = 0; i < 6; ++i) CHECK(g[i] == Approx(rows_alone[i] + 2 * batch_alone[i]));

  const auto report = both.report(s, t, labels, lk::progress(0.5));
  REQUIRE(report.terms().size() == 2);
  CHECK(report.terms()[1].name == "gap");
  CHECK(report.total() == Approx(loss));
  CHECK(both.plan().str().find("of the whole batch") != std::string::npos);
}

TEST_CASE("student and teacher of different widths, where the loss allows", "[objective][batchwise]") {
  const std::vector<double> wide{1, 1, 1, 1, 1, 1, 1, 2};
  const lk::rows<const double> w(wide.data(), 2, 4);
  std::vector<double> g(6);
  const auto into = lk::into(lk::rows<double>(g.data(), 2, 3));
  CHECK(lk::objective{total_gap{}}(s, w, into) == Approx(4));
  CHECK(g[3] == Approx(-4));
  CHECK_THROWS_WITH(lk::objective{mean_gap{}}(s, w, into),
                    "limbeck: teacher has shape 2 x 4, expected 2 x 3 (samples x classes)");
  CHECK_THROWS_WITH((lk::objective{total_gap{}} + lk::forward_kl{})(s, w, into),
                    "limbeck: teacher has shape 2 x 4, expected 2 x 3 (samples x classes)");
}

TEST_CASE("what a batchwise loss cannot mean is an error", "[objective][batchwise][errors]") {
  const auto o = lk::objective{mean_gap{}};
  std::vector<double> g(6), losses(2);
  const auto into = lk::into(lk::rows<double>(g.data(), 2, 3));
  CHECK_THROWS_WITH(o(s, t, into, lk::mean_over(10)), Catch::Contains("mean_over is 10 in a call of rows that weigh 2"));
  CHECK(o(s, t, into, lk::mean_over(2)).loss == o(s, t, into).loss);
  CHECK_THROWS_WITH(o(s, t, into, lk::sum), Catch::Contains("sum and none are for losses of rows"));
  CHECK_THROWS_WITH(o(s, t, into, lk::row_losses(losses)), Catch::Contains("has no losses of rows"));
  CHECK(o(lk::rows<const double>(nullptr, 0, 3), lk::rows<const double>(nullptr, 0, 3),
          lk::into(lk::rows<double>(nullptr, 0, 3))) == 0);
}
