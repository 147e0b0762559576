// The rows of device memory give what those of plain memory give, to a few ulps of a row's scale.
#include "catch.hpp"
#include "device_cases.hpp"

using namespace limbeck_test;

namespace {
const std::vector<std::pair<std::size_t, std::size_t>> shapes = {{4, 3}, {5, 10}, {9, 26}, {7, 100}, {4, 1025}};
void require_none(const complaints& found) {
  for (const auto& c : found) UNSCOPED_INFO(c);
  REQUIRE(found.empty());
}
}  // namespace

TEST_CASE("device rows agree with plain rows, float", "[thrust]") { require_none(compare_all<float>(shapes)); }
TEST_CASE("device rows agree with plain rows, double", "[thrust]") { require_none(compare_all<double>(shapes)); }

TEST_CASE("device: a long row keeps its digits", "[thrust]") {
  complaints found;
  const auto b = random_batch<float>(2, 250000, 3, 2);
  compare(found, "250k classes", lk::at_temperature(4.0, lk::forward_kl{}), b);
  require_none(found);
}

TEST_CASE("device: deferred results", "[thrust]") {
  require_none(compare_deferred<float>(6, 40));
  require_none(compare_deferred<double>(3, 2000));
}
