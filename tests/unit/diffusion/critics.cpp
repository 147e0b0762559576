// Losses of critics: against their definitions, and by quadrature on mixtures, where the best critic is known.
#include "catch.hpp"

#include <limbeck/diffusion/density_ratio.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace lk = limbeck;

TEST_CASE("critics: the ratio of densities is that of a row's mean logit, clipped", "[critics]") {
  const std::vector<float> logits{1, 3, -40, 0, 0.5f, 0.25f};
  const lk::rows<const float> x(logits.data(), 3, 2);
  std::vector<double> r(3), l(3);
  lk::density_ratio(x, r, {.clip = 10});
  lk::log_density_ratio(x, l);
  CHECK(r[0] == Approx(std::exp(2.0)));
  CHECK(r[1] == Approx(std::exp(-10.0)));
  CHECK(l == std::vector<double>{2, -20, 0.375});

  std::vector<double> few(2);
  CHECK_THROWS_AS(lk::density_ratio(x, few), lk::shape_error);
  CHECK_THROWS_WITH(lk::density_ratio(x, r, {.clip = 0}), Catch::Matchers::Contains("clip of density_ratio is 0"));
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> bad{0, infinity, std::nan("")};
  const lk::rows<const double> y(bad.data(), 2, 1), z(bad.data(), 3, 1);
  CHECK_THROWS_WITH(lk::log_density_ratio(y, few), Catch::Matchers::Contains("row 1 of the critic's logits"));
  lk::log_density_ratio(y, few, {.clip = 8});
  CHECK(few == std::vector<double>{0, 8});
  CHECK_THROWS_WITH(lk::log_density_ratio(z, l, {.clip = 8}), Catch::Matchers::Contains("row 2"));
  CHECK(l == std::vector<double>{2, -20, 0.375});
}
