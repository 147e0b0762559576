// What composes on the host composes on a device.
#include "catch.hpp"
#include "composed_cases.hpp"

using namespace limbeck_test;

TEST_CASE("device: targets, whole rows, tops and temperatures compose as on the host", "[thrust]") {
  complaints found;
  for (const auto& [n, c] : {std::pair<std::size_t, std::size_t>{5, 4}, {3, 37}})
    for (auto& complaint : compare_composed<float>(n, c)) found.push_back(complaint);
  for (const auto& complaint : found) UNSCOPED_INFO(complaint);
  CHECK(found.empty());
}
