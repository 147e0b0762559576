// Multi-hot labels and probabilities, as binary cross-entropy.

#include <limbeck/limbeck.hpp>
#include <limbeck/target/binary_labels.hpp>

#include "cases.hpp"

using namespace limbeck_test;
using Catch::Matchers::Contains;

TEMPLATE_TEST_CASE("bernoulli_kl on binary labels is the binary cross-entropy", "[target]", float, double) {
  using T = TestType;
  const matrix<T> s(4, 19, 3, 3);
  matrix<T> y(4, 19);
  lk::random_stream random(2);
  for (std::size_t i = 0; i < y.data.size(); ++i)
    y.data[i] = i < 38 ? static_cast<T>(i % 3 == 0) : static_cast<T>(random.uniform());
  for (std::size_t c = 0; c < 19; ++c) y.row(1)[c] = 0;  // none is right
  for (const double t : {1.0, 2.0}) {
    matrix<T> g(4, 19);
    std::vector<T> losses(4);
    const auto bce = lk::at_temperature(t, lk::unscaled(lk::bernoulli_kl{}));
    bce(s.in(), lk::binary_labels(y.in(), t), lk::into(g.out()), lk::row_losses(losses), lk::sum);
    for (std::size_t r = 0; r < 4; ++r) {
      real value = 0;
      for (std::size_t c = 0; c < 19; ++c) {
        const real z = static_cast<real>(s.row(r)[c]) / t, label = y.row(r)[c];
        const real yes = -std::log1p(std::exp(-z)), no = -std::log1p(std::exp(z));  // logarithms of both answers
        value -= label * yes + (1 - label) * no;
        if (label > 0 && label < 1) value += label * std::log(label) + (1 - label) * std::log1p(-label);
        const double slope = static_cast<double>((std::exp(yes) - label) / t);
        CHECK(static_cast<double>(g.row(r)[c]) ==
              Approx(slope).epsilon(1e-5).margin(static_cast<double>(tolerance<T>())));
      }
      CHECK(static_cast<double>(losses[r]) ==
            Approx(static_cast<double>(value)).epsilon(10 * static_cast<double>(tolerance<T>())));
    }
  }
}

TEST_CASE("binary labels that are none are reported", "[target]") {
  const matrix<double> s(2, 3, 3, 3);
  matrix<double> y(2, 3, {0, 1, 1, 0, 1.5, 0});
  const lk::objective bce{lk::bernoulli_kl{}};
  CHECK_THROWS_WITH(bce.value(s.in(), lk::binary_labels(y.in())), Contains("teacher is nan at row 1, class 1"));
  y.data[4] = -1;
  CHECK_THROWS_WITH(bce.value(s.in(), lk::binary_labels(y.in())), Contains("teacher is nan at row 1, class 1"));
  CHECK_THROWS_AS(lk::binary_labels(y.in(), 0.0), lk::value_error);
}
