// What is learned beside the student: projections, the variances of VID, the embeddings and the memory of CRD.

#include "catch.hpp"
#include "make_batch.hpp"

#include <limbeck/loss/features/crd.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/loss/features/projected.hpp>
#include <limbeck/loss/features/vid.hpp>

#include <limits>
#include <map>
#include <memory>
#include <string>
#include <type_traits>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// Gradients of @p learned against central differences of the loss, which a run without gradient does not move.
template <class Learned, class Loss>
double learned_difference(features<double>& x, Learned& learned, const Loss& loss, double scale = 1) {
  learned.zero_gradients();
  x.run(loss, scale);
  double worst = 0, largest = 0;
  const auto gradients = learned.gradients();
  const auto parameters = learned.parameters();
  for (std::size_t part = 0; part < gradients.size(); ++part) {
    for (std::size_t i = 0; i < gradients[part].size(); ++i) {
      double& v = parameters[part][i];
      const double kept = v;
      v = kept + 1e-5;
      const double up = x.value(loss);
      v = kept - 1e-5;
      const double down = x.value(loss);
      v = kept;
      worst = std::max(worst, std::fabs(scale * (up - down) / 2e-5 - gradients[part][i]));
      largest = std::max(largest, std::fabs(gradients[part][i]));
    }
  }
  return worst / largest;
}

/// Copies what serialize() names, and back.
struct copying_archive {
  std::map<std::string, std::vector<double>> kept;
  bool loading = false;
  std::string prefix;

  template <class V>
  void operator()(const std::string& name, V& value) {
    if constexpr (requires { value.serialize(*this); }) {
      value.serialize(*this);
    } else if constexpr (requires { value.size(); }) {
      auto& place = kept[name];
      if (!loading) place.assign(value.begin(), value.end());
      for (std::size_t i = 0; i < value.size(); ++i)
        value[i] = static_cast<std::remove_reference_t<decltype(value[0])>>(place[i]);
    } else if constexpr (std::is_floating_point_v<V>) {
      if (!loading) kept[name] = {value};
      value = kept[name][0];
    } else {
      if (!loading) kept[name] = {static_cast<double>(value >> 32), static_cast<double>(value & 0xffffffffu)};
      value = static_cast<V>(kept[name][0]) << 32 | static_cast<V>(kept[name][1]);
    }
  }
};

}  // namespace

TEST_CASE("projection: weights from a seed") {
  lk::projection<float> a(200, 100, lk::he{.seed = 3}), b(200, 100, lk::he{.seed = 3}),
      c(200, 100, lk::xavier{.seed = 3});
  double squares = 0;
  for (std::size_t i = 0; i < 20000; ++i) {
    const double w = static_cast<double>(a.parameters()[0][i]);
    REQUIRE(a.parameters()[0][i] == b.parameters()[0][i]);
    squares += w * w / 20000;
  }
  CHECK(squares == Approx(2.0 / 200).epsilon(0.03));
  CHECK(static_cast<double>(c.parameters()[0][5]) ==
        Approx(static_cast<double>(a.parameters()[0][5]) * std::sqrt(2.0 / 3)));
  const auto bias = a.parameters()[1];
  for (const float v : bias) CHECK(v == 0);
  CHECK_THROWS_WITH(lk::projection<float>(0, 3),
                    "limbeck: projection has 0 inputs and 3 outputs, expected at least 1 of both");
  copying_archive archive;
  a.parameters()[1][7] = 5;
  a.serialize(archive);
  archive.loading = true;
  lk::projection<float> d(200, 100);
  d.serialize(archive);
  CHECK(std::equal(a.parameters()[0].begin(), a.parameters()[0].end(), d.parameters()[0].begin()));
  CHECK(d.parameters()[1][7] == 5);
}

TEST_CASE("projected: value and every gradient") {
  for (const std::size_t positions : {1u, 5u}) {
    features<double> x(4, 3 * positions, 6 * positions, 2);
    lk::projection<double> p(3, 6, lk::he{.seed = 9});
    p.parameters()[1][2] = 0.5;
    double expected = 0;
    for (std::size_t r = 0; r < 4; ++r) {
      for (std::size_t o = 0; o < 6; ++o) {
        for (std::size_t at = 0; at < positions; ++at) {
          double y = p.parameters()[1][o];
          for (std::size_t c = 0; c < 3; ++c)
            y += p.parameters()[0][o * 3 + c] * x.student[(r * 3 + c) * positions + at];
          const double d = y - x.teacher[(r * 6 + o) * positions + at];
          expected += d * d / 8;
        }
      }
    }
    const auto loss = lk::projected(p, lk::hint{}, positions);
    static_assert(decltype(loss)::any_width && decltype(loss)::needs_teacher);
    CHECK(x.value(loss) == Approx(expected));
    CHECK(x.difference(loss) < 1e-6);
    CHECK(learned_difference(x, p, loss) < 1e-6);
    CHECK(learned_difference(x, p, loss, 0.3) < 1e-6);

    const auto once = std::vector<double>(p.gradients()[0].begin(), p.gradients()[0].end());
    x.run(loss, 0.3);  // is added
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(p.gradients()[0][i] == Approx(2 * once[i]));
    p.zero_gradients();
    x.value(loss);  // no gradient, no trace
    CHECK(p.gradients()[0][0] == 0);

    const double value = x.run(loss);
    const auto gradient = x.gradient;
    const double weight = p.gradients()[0][3];
    p.zero_gradients();
    CHECK(x.run_on(lk::openmp{3}, loss) == value);
    CHECK(x.gradient == gradient);
    CHECK(p.gradients()[0][3] == weight);
  }
}

TEST_CASE("projected: what is wrong is named, and the gradients stay") {
  features<float> x(2, 6, 4);
  lk::projection<float> p(3, 4), wide(6, 5), q(6, 4);
  CHECK_THROWS_WITH(x.run(lk::projected(p, lk::hint{})),
                    "limbeck: projection is given rows of 6 columns, expected 3");
  CHECK_THROWS_WITH(
      x.run(lk::projected(wide, lk::hint{})),
      "limbeck: student has 5 columns and teacher 4, but hint needs as many of both; project the student: "
      "projected(p, ...)");
  x.student[8] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(x.run(lk::projected(q, lk::hint{})),
                    "limbeck: student is nan at row 1, column 2, expected a finite number");
  x.student[8] = 0, x.teacher[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(x.run(lk::projected(q, lk::hint{})),
                    "limbeck: teacher is nan at row 1, column 1, expected a finite number");
  const auto untouched = q.gradients()[0];
  for (const float g : untouched) CHECK(g == 0);
}

TEST_CASE("vid") {
  lk::channel_variances<double> v(3);
  CHECK(v[1] == Approx(5.0).epsilon(1e-12));
  features<double> x(4, 6, 6, 2);
  v.parameters()[0][0] = -2, v.parameters()[0][1] = 0.5;
  double expected = 0;
  for (std::size_t i = 0; i < 24; ++i) {
    const double variance = std::log1p(std::exp(v.parameters()[0][i % 6 / 2])) + 1e-5, d = x.student[i] - x.teacher[i];
    expected += 0.5 * (d * d / variance + std::log(variance)) / 24;
  }
  const auto loss = lk::vid(v);
  CHECK(x.value(loss) == Approx(expected));
  CHECK(x.difference(loss) < 1e-6);
  CHECK(x.teacher_difference(loss) < 1e-6);
  CHECK(learned_difference(x, v, loss, 0.7) < 1e-6);
  lk::projection<double> p(6, 6, lk::he{.seed = 1});
  CHECK(learned_difference(x, p, lk::projected(p, loss)) < 1e-6);
  CHECK(learned_difference(x, v, lk::projected(p, loss)) < 1e-6);
  v.zero_gradients();
  const double value = x.run(loss), slope = v.gradients()[0][2];
  v.zero_gradients();
  CHECK(x.run_on(lk::openmp{2}, loss) == value);
  CHECK(v.gradients()[0][2] == slope);
  v.parameters()[0][0] = 800;  // the exponential of softplus would overflow
  CHECK(v[0] == 800 + 1e-5);
  CHECK_THROWS_AS(x.run(lk::vid(*std::make_unique<lk::channel_variances<double>>(4))), lk::shape_error);
  CHECK_THROWS_AS(lk::channel_variances<float>(0), lk::shape_error);
  CHECK_THROWS_AS(lk::channel_variances<float>(3, 0), lk::value_error);
  x.student[0] = std::numeric_limits<double>::quiet_NaN();
  v.zero_gradients();
  CHECK_THROWS_AS(x.run(loss), lk::value_error);
  CHECK(v.gradients()[0][2] == 0);
}

TEST_CASE("crd: gradients, and what a step changes") {
  features<double> x(4, 5, 7, 2);
  const lk::crd_settings settings{.negatives = 12, .temperature = 0.3, .seed = 4};
  lk::crd_bank<double> bank(10, 3, settings);
  lk::projection<double> s(5, 3, lk::he{.seed = 1}), t(7, 3, lk::he{.seed = 2});
  std::vector<std::size_t> indices{3, 9, 0, 4};
  const auto loss = lk::crd(bank, indices, s, t);
  const double first = x.value(loss);
  CHECK(x.value(loss) == first);  // no gradient: the same negatives again
  CHECK(x.run(loss) == first);
  const double second = x.value(loss);
  CHECK(second != first);
  for (const std::size_t i : indices) {
    double norm = 0;
    for (std::size_t c = 0; c < 3; ++c) norm += bank.student()(i, c) * bank.student()(i, c);
    CHECK(norm == Approx(1));
  }
  // with the normalisers set, differences are those of the loss
  copying_archive archive;
  const auto keep = [&] { archive.loading = false, bank.serialize(archive); };
  const auto restore = [&] { archive.loading = true, bank.serialize(archive); };
  keep();
  x.teach();
  CHECK(x.run(loss) == second);
  const auto gradient = x.gradient, of_teacher = x.teacher_gradient;
  restore();
  const auto differences = [&](std::vector<double>& numbers, const std::vector<double>& exact) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double kept = numbers[i];
      numbers[i] = kept + 1e-5;
      const double up = x.value(loss);
      numbers[i] = kept - 1e-5;
      const double down = x.value(loss);
      numbers[i] = kept;
      CHECK(exact[i] == Approx((up - down) / 2e-5).epsilon(1e-5).margin(1e-8));
    }
  };
  differences(x.student, gradient);
  differences(x.teacher, of_teacher);
  restore();
  s.zero_gradients();
  CHECK(x.run_on(lk::openmp{3}, loss) == second);  // restored: the same step; threads: the same bits
  CHECK(x.gradient == gradient);
  restore();
  for (lk::projection<double>* p : {&s, &t}) {
    p->zero_gradients();
    x.run(loss);
    restore();
    for (std::size_t i = 0; i < p->gradients()[0].size(); ++i) {
      double& w = p->parameters()[0][i];
      const double kept = w;
      w = kept + 1e-5;
      const double up = x.value(loss);
      w = kept - 1e-5;
      const double down = x.value(loss);
      w = kept;
      CHECK(p->gradients()[0][i] == Approx((up - down) / 2e-5).epsilon(1e-5).margin(1e-8));
    }
  }
}

TEST_CASE("crd: the memory moves by its momentum") {
  for (const double momentum : {0.0, 0.2, 0.9, 1.0}) {
    features<double> x(1, 2, 2, 2);
    x.student = {0.6, 0.8}, x.teacher = {-1, 0};  // of length 1, and embedded as they are
    lk::crd_bank<double> bank(3, 2, {.negatives = 2, .momentum = momentum});
    lk::projection<double> s(2, 2), t(2, 2);
    for (lk::projection<double>* p : {&s, &t})
      for (std::size_t i = 0; i < 6; ++i) (i < 4 ? p->parameters()[0][i] : p->parameters()[1][i - 4]) = i == 0 || i == 3;
    const std::vector<std::size_t> indices{1};
    const auto moved = [&](double old, double fresh) { return momentum * old + (1 - momentum) * fresh; };
    const double a = moved(bank.student()(1, 0), 0.6), b = moved(bank.student()(1, 1), 0.8);
    const double c = moved(bank.teacher()(1, 0), -1), d = moved(bank.teacher()(1, 1), 0);
    const double other = bank.student()(0, 0);
    x.run(lk::crd(bank, indices, s, t));
    CHECK(bank.student()(1, 0) == Approx(a / std::hypot(a, b)));
    CHECK(bank.student()(1, 1) == Approx(b / std::hypot(a, b)));
    CHECK(bank.teacher()(1, 0) == Approx(c / std::hypot(c, d)));
    CHECK(bank.teacher()(1, 1) == Approx(d / std::hypot(c, d)).margin(1e-15));
    CHECK(bank.student()(0, 0) == other);
  }
}

TEST_CASE("crd: what is wrong is named, and the bank stays") {
  features<float> x(2, 5, 7, 2);
  lk::crd_bank<float> bank(10, 3, {.negatives = 4});
  lk::projection<float> s(5, 3), t(7, 3), other(5, 4);
  std::vector<std::size_t> indices{3, 10};
  const auto before = bank.student()(3, 0);
  CHECK_THROWS_WITH(x.run(lk::crd(bank, indices, s, t)),
                    "limbeck: indices is 10 at row 1, expected a sample of the bank, 0 to 9");
  indices = {3};
  CHECK_THROWS_WITH(x.run(lk::crd(bank, indices, s, t)), "limbeck: indices has 1 elements, expected 2 (one a row)");
  indices = {3, 3};
  CHECK_THROWS_WITH(x.run(lk::crd(bank, indices, other, t)),
                    "limbeck: student has 5 columns and the bank 3, but its embedding goes from 5 to 4");
  x.teacher[1] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(x.run(lk::crd(bank, indices, s, t)),
                    "limbeck: teacher is nan at row 0, column 1, expected a finite number");
  CHECK(bank.student()(3, 0) == before);
  x.teacher.assign(14, 0), x.student.assign(10, 0);  // embeddings of norm 0
  CHECK(std::isfinite(x.run(lk::crd(bank, indices, s, t))));
  for (const float g : x.gradient) CHECK(g == 0);
  CHECK_THROWS_AS(lk::crd_bank<float>(0, 3), lk::shape_error);
  CHECK_THROWS_AS(lk::crd_bank<float>(2, 3, {.temperature = 0}), lk::value_error);
  CHECK_THROWS_AS(lk::crd_bank<float>(2, 3, {.momentum = 2}), lk::value_error);
}
