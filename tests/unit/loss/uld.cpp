// Two distributions rank by rank, against sorted probabilities in long double.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>
#include <limbeck/relations.hpp>
#include <limbeck/targets.hpp>

#include <algorithm>
#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

std::vector<long double> falling(const double* x, std::size_t n, double temperature) {
  std::vector<long double> p;
  long double sum = 0;
  for (std::size_t i = 0; i < n; ++i) p.push_back(std::exp(static_cast<long double>(x[i]) / temperature)), sum += p.back();
  for (auto& v : p) v /= sum;
  std::sort(p.rbegin(), p.rend());
  return p;
}
double definition(const batch<double>& b, double temperature) {
  long double value = 0;
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto p = falling(&b.teacher[r * b.classes], b.classes, temperature);
    const auto q = falling(&b.student[r * b.classes], b.classes, temperature);
    for (std::size_t k = 0; k < b.classes; ++k) value += std::fabs(p[k] - q[k]);
  }
  return static_cast<double>(value);
}
double slope(batch<double> b, std::size_t i, double temperature) {
  const double h = 1e-6, keep = b.student[i];
  b.student[i] = keep + h;
  const double up = definition(b, temperature);
  b.student[i] = keep - h;
  return (up - definition(b, temperature)) / (2 * h);
}
double call(const batch<double>& b, double temperature, std::vector<double>& gradient) {
  gradient.assign(b.size(), 7);
  lk::workspace ws;
  return lk::objective{lk::at_temperature(temperature, lk::unscaled(lk::uld{}))}(
             b.s(), b.t(), lk::into(lk::rows<double>(gradient.data(), b.samples, b.classes)), lk::sum, ws)
      .loss;
}

}  // namespace

TEST_CASE("uld: value and gradient are those of the sorted probabilities") {
  std::vector<double> gradient;
  for (const std::size_t classes : {2u, 5u, 33u})
    for (const double temperature : {0.7, 1.0, 4.0}) {
      auto b = random_batch<double>(3, classes, 5);
      for (std::size_t i = 0; i < 2 && classes > 2; ++i) b.teacher[i] = -infinity<double>;  // a shorter vocabulary
      CHECK(call(b, temperature, gradient) == Approx(definition(b, temperature)).epsilon(1e-12));
      for (std::size_t i = 0; i < b.size(); ++i)
        CHECK(gradient[i] == Approx(slope(b, i, temperature)).epsilon(1e-5).margin(1e-8));
    }
}

TEST_CASE("uld: the order of the classes means nothing, and equal ones share their gradient") {
  std::vector<double> gradient;
  auto b = random_batch<double>(1, 9, 8);
  std::reverse_copy(b.student.begin(), b.student.end(), b.teacher.begin());
  CHECK(call(b, 2, gradient) < 1e-15);
  b = {1, 4, {1, 1, 1, -infinity<double>}, {3, 2, 0, 1}, {0}};
  CHECK(call(b, 1, gradient) == Approx(definition(b, 1)).epsilon(1e-12));
  for (const double g : gradient) CHECK(std::fabs(g) < 1e-15);  // by symmetry
  b = {1, 3, {2, 0, 0}, {0, 0, 0}, {0}};  // sum |1/3 - q|: 2 (q_0 - 1/3)
  const double q = 1 / (1 + 2 * std::exp(-2.0));
  CHECK(call(b, 1, gradient) == Approx(2 * (q - 1 / 3.0)).epsilon(1e-12));
  CHECK(gradient[0] == Approx(2 * q * (1 - q)).epsilon(1e-12));
  CHECK(gradient[1] == Approx(-q * (1 - q)).epsilon(1e-12));
  CHECK(gradient[2] == gradient[1]);
  b.teacher[1] = std::nan("");
  CHECK_THROWS_AS(call(b, 1, gradient), lk::value_error);
}

namespace {

/// Rows of two vocabularies.
struct two_widths {
  std::size_t samples, mine, theirs;
  std::vector<double> student, teacher;
  std::vector<int> labels;

  two_widths(std::size_t n, std::size_t a, std::size_t b, std::uint32_t seed) : samples(n), mine(a), theirs(b) {
    auto x = random_batch<double>(n, a, seed), y = random_batch<double>(n, b, seed + 1);
    student = std::move(x.student), labels = std::move(x.labels), teacher = std::move(y.teacher);
  }
  lk::rows<const double> s() const { return {student.data(), samples, mine}; }
  lk::rows<const double> t() const { return {teacher.data(), samples, theirs}; }
  double definition(double temperature) const {
    long double value = 0;
    for (std::size_t r = 0; r < samples; ++r) {
      auto q = falling(&student[r * mine], mine, temperature), p = falling(&teacher[r * theirs], theirs, temperature);
      q.resize((std::max)(mine, theirs)), p.resize(q.size());
      for (std::size_t k = 0; k < q.size(); ++k) value += std::fabs(p[k] - q[k]);
    }
    return static_cast<double>(value);
  }
};
const auto plain = lk::objective{lk::unscaled(lk::uld{})};

}  // namespace

TEST_CASE("uld: teachers of more and of fewer classes than the student") {
  for (const auto& [mine, theirs] : {std::pair<std::size_t, std::size_t>{2, 40}, {5, 7}, {40, 2}, {33, 32}, {64, 130}, {3, 2000}, {2000, 3}})
    for (const double temperature : {1.0, 3.0}) {
      two_widths b(9, mine, theirs, 3);
      std::vector<double> gradient(9 * mine, 7), losses(9);
      const auto o = lk::at_temperature(temperature, lk::unscaled(lk::uld{}));
      const double value = o(b.s(), b.t(), lk::into(lk::rows<double>(gradient.data(), 9, mine)), lk::sum, lk::row_losses(losses)).loss;
      CHECK(value == Approx(b.definition(temperature)).epsilon(1e-12));
      if (mine > 100) continue;
      for (std::size_t i = 0; i < gradient.size(); i += 1 + gradient.size() / 60) {
        const double h = 1e-6, keep = b.student[i];
        b.student[i] = keep + h;
        const double up = b.definition(temperature);
        b.student[i] = keep - h;
        CHECK(gradient[i] == Approx((up - b.definition(temperature)) / (2 * h)).epsilon(1e-5).margin(1e-8));
        b.student[i] = keep;
      }
    }
}

TEST_CASE("uld: a width of its own beside cross-entropy on the same student, and wherever the rows lie") {
  two_widths b(11, 19, 50, 4);
  b.labels[3] = -100;
  std::vector<double> gradient(11 * 19), other(11 * 19), third(11 * 19);
  const auto into = [&](std::vector<double>& g) { return lk::into(lk::rows<double>(g.data(), 11, 19)); };
  const auto both = 2.0 * lk::cross_entropy{} + 0.5 * lk::uld{};
  lk::workspace ws;
  const auto sum = both(b.s(), b.t(), b.labels, into(gradient), ws);
  CHECK(sum.rows == 10);
  const double ce = lk::objective{lk::cross_entropy{}}(b.s(), b.labels, into(other), ws).loss;
  const double alone = lk::objective{lk::uld{}}(b.s(), b.t(), b.labels, lk::ignore_index(-100), into(third), ws).loss;
  CHECK(sum.loss == Approx(2 * ce + 0.5 * alone).epsilon(1e-13));
  for (std::size_t i = 0; i < gradient.size(); ++i) CHECK(gradient[i] == Approx(2 * other[i] + 0.5 * third[i]).epsilon(1e-12).margin(1e-15));

  // transposed, in 32 bits, asked for: the teacher's rows are the same
  std::vector<double> columns(b.teacher.size());
  for (std::size_t r = 0; r < 11; ++r)
    for (std::size_t c = 0; c < 50; ++c) columns[c * 11 + r] = b.teacher[r * 50 + c];
  CHECK(same_bits(sum.loss, both.value(b.s(), lk::rows<const double>(columns.data(), 50, 11).transposed(), b.labels, ws)));
  std::vector<float> narrow(b.teacher.begin(), b.teacher.end());
  CHECK(both.value(b.s(), lk::rows<const float>(narrow.data(), 11, 50), b.labels, ws) == Approx(sum.loss).epsilon(1e-6));
  const auto ensemble = lk::mean_of_logits(b.t(), b.t());
  CHECK(both.value(b.s(), ensemble, b.labels, ws) == Approx(sum.loss).epsilon(1e-13));
  // beside a loss between samples, which takes any width too
  const auto relations = lk::uld{} + 1.0 * lk::linear_cka{} + lk::cross_entropy{};
  CHECK(relations.value(b.s(), b.t(), b.labels, ws) ==
        Approx(alone + ce + lk::objective{lk::linear_cka{}}.value(b.s(), b.t(), b.labels, lk::ignore_index(-100), ws)).epsilon(1e-12));
  CHECK(both.report(b.s(), b.t(), b.labels, ws).total() == Approx(sum.loss).epsilon(1e-13));
}

TEST_CASE("uld: what is wrong in a teacher of another width has its place, and other losses want one width") {
  two_widths b(3, 5, 9, 6);
  b.teacher[2 * 9 + 8] = std::nan("");
  CHECK_THROWS_WITH(plain.value(b.s(), b.t()), Catch::Contains("teacher is nan at row 2, class 8"));
  CHECK_THROWS_WITH(plain.value(b.s(), lk::mean_of_logits(b.t(), b.t())), Catch::Contains("teacher is nan at row 2, class 8"));
  for (std::size_t c = 0; c < 9; ++c) b.teacher[2 * 9 + c] = -infinity<double>;
  CHECK_THROWS_WITH(plain.value(b.s(), b.t()), Catch::Contains("teacher is -inf at row 2 in all 9 classes"));
  const two_widths fine(3, 5, 9, 6);
  const auto widths = Catch::Contains("teacher has shape 3 x 9, expected 3 x 5");
  CHECK_THROWS_WITH((lk::uld{} + lk::forward_kl{}).value(fine.s(), fine.t()), widths);
  CHECK_THROWS_WITH((lk::of_teacher(lk::entropy{}) * lk::uld{}).value(fine.s(), fine.t()), widths);
  CHECK_THROWS_WITH(lk::objective{lk::cross_entropy{}}.value(fine.s(), fine.t(), fine.labels, lk::unread_is_fine), widths);
  CHECK_THROWS_AS(plain.value(lk::rows<const double>(fine.student.data(), 2, 5), fine.t()), lk::shape_error);
}
