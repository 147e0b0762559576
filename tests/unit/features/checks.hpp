#ifndef LIMBECK_TESTS_UNIT_FEATURES_CHECKS_HPP
#define LIMBECK_TESTS_UNIT_FEATURES_CHECKS_HPP

// What every loss between layers has to stand.

#include "catch.hpp"
#include "make_batch.hpp"

#include <cmath>

namespace limbeck_test {

namespace lk = limbeck;
using real = long double;

/// Value, gradient, float, threads, scale and strides.
template <class Loss>
void check(const Loss& loss, std::size_t n, std::size_t columns, std::size_t teacher_columns, real expected) {
  features<double> x(n, columns, teacher_columns, 3);
  const double value = x.value(loss);
  CHECK(value == Approx(static_cast<double>(expected)).epsilon(1e-12));
  CHECK(x.difference(loss) < 1e-6);
  if constexpr (requires { Loss::into_teacher; }) CHECK(x.teacher_difference(loss) < 1e-6);
  CHECK(x.run(loss) == value);
  const auto gradient = x.gradient;

  CHECK(x.run_on(lk::openmp{3}, loss) == value);
  CHECK(x.gradient == gradient);

  x.run(loss, 0.25);
  for (std::size_t i = 0; i < gradient.size(); ++i)
    CHECK(x.gradient[i] == Approx(gradient[i] / 4).epsilon(1e-13).margin(1e-18));
  x.over(loss, x.s(), x.t(), x.g(), 0.75, lk::serial{});  // is added
  for (std::size_t i = 0; i < gradient.size(); ++i)
    CHECK(x.gradient[i] == Approx(gradient[i]).epsilon(1e-13).margin(1e-18));

  features<float> f(x);
  CHECK(f.run(loss) == Approx(value).epsilon(1e-5));
  double largest = 0;
  for (const double g : gradient) largest = std::max(largest, std::fabs(g));
  for (std::size_t i = 0; i < gradient.size(); ++i)
    CHECK(std::fabs(static_cast<double>(f.gradient[i]) - gradient[i]) <= 1e-5 * largest);

  std::vector<double> s(x.student.size()), t(x.teacher.size()), g(s.size());  // samples in columns
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t c = 0; c < columns; ++c) s[c * n + r] = x.student[r * columns + c];
    for (std::size_t c = 0; c < teacher_columns; ++c) t[c * n + r] = x.teacher[r * teacher_columns + c];
  }
  const lk::rows<const double> sv(s.data(), columns, n), tv(t.data(), teacher_columns, n);
  CHECK(x.over(loss, sv.transposed(), tv.transposed(), lk::rows<double>(g.data(), columns, n).transposed(), 1,
               lk::serial{}) == Approx(value).epsilon(1e-14));
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < columns; ++c)
      CHECK(g[c * n + r] == Approx(gradient[r * columns + c]).epsilon(1e-12).margin(1e-17));
}

/// `check`, with the definition over the same rows: at(teacher?, row, column).
template <class Loss, class Naive>
void check(const Loss& loss, std::size_t n, std::size_t columns, std::size_t teacher_columns, const Naive& naive) {
  const features<double> x(n, columns, teacher_columns, 3);
  check(loss, n, columns, teacher_columns, naive([&](bool teacher, std::size_t r, std::size_t c) {
          return static_cast<real>(teacher ? x.teacher[r * teacher_columns + c] : x.student[r * columns + c]);
        }));
}

template <class Loss>
void zero_at_agreement(const Loss& loss, std::size_t n, std::size_t columns) {
  features<float> x(n, columns, columns);
  x.teacher = x.student;
  CHECK(x.run(loss) == 0);
  for (const float g : x.gradient) CHECK(std::fabs(g) < 1e-6f);
}

}  // namespace limbeck_test

#endif
