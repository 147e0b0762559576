// Formulas of device memory: the rows that the host makes of the same numbers, by one thread a row, by several, and inside a call.
#include "catch.hpp"
#include "formula_cases.hpp"
#include "target_teams.hpp"

using namespace limbeck_test;

namespace {

template <class T, class Kind, class Fill>
void check(const Kind& kind, const Fill& fill, bool spoils = true) {
  complaints found;
  for (const auto& [n, c] : std::vector<std::pair<std::size_t, std::size_t>>{{9, 2}, {9, 21}, {8, 103}}) {
    compare_targets<T>(found, kind, n, c, false, fill);
    if (spoils) compare_targets<T>(found, kind, n, c, true, fill);
  }
  for (const auto& complaint : found) UNSCOPED_INFO(complaint);
  CHECK(found.empty());
}
template <class T, class Kind>
void check_everywhere(const Kind& kind) {
  check<T>(kind, by_device);
  check<T>(kind, by_teams);
  check<T>(kind, by_objective, false);
}

}  // namespace

TEST_CASE("device: noise and predictions are the host's", "[thrust][diffusion]") { check_everywhere<float>(noise_formulas{}); }
TEST_CASE("device: gradients of distribution matching are the host's", "[thrust][diffusion]") {
  check_everywhere<float>(matching_formulas{});
}
TEST_CASE("device: differences of scores are the host's", "[thrust][diffusion]") { check_everywhere<float>(score_formulas{}); }
TEST_CASE("device: formulas of double", "[thrust][diffusion]") { check<double>(matching_formulas{}, by_teams); }
