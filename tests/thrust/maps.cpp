// Maps before a loss, in device memory.
#include "catch.hpp"
#include "device_map_cases.hpp"

using namespace limbeck_test;

TEST_CASE("maps: in device memory they have the numbers of the host") {
  const complaints all = compare_maps<float>();
  for (const auto& c : all) UNSCOPED_INFO(c);
  CHECK(all.empty());
}

TEST_CASE("losses through maps and views: in device memory they have the numbers of the host") {
  const complaints all = compare_inside<float>();
  for (const auto& c : all) UNSCOPED_INFO(c);
  CHECK(all.empty());
}
