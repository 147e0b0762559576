// Losses between samples and layers in device memory.
#include "catch.hpp"
#include "relation_cases.hpp"

using namespace limbeck_test;

namespace {
void none(const complaints& all) {
  for (const auto& c : all) UNSCOPED_INFO(c);
  CHECK(all.empty());
}
}  // namespace

TEST_CASE("relations: products on a device are those of sums in double") {
  none(compare_products<float>());
  none(compare_products<double>());
}

TEST_CASE("relations: losses of whole batches on a device are those of the host") {
  none(compare_whole_batches<float>());  // in double: tests/unit/relations/teams.cpp
}

TEST_CASE("relations: what losses learn may live on a device") {
  none(compare_learned<float>());
}

TEST_CASE("relations: losses between lists of layers are calls of each pair") {
  none(compare_layers<float>());
}

TEST_CASE("relations: on a device the rows that do not count are taken out, and weights must be alike") {
  none(compare_whole_weights<float>());
}
