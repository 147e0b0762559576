// Formulas of consistency over device memory: the rows that the host makes of the same numbers.
#include "catch.hpp"
#include "target_cases.hpp"

#include <limbeck/diffusion.hpp>

using namespace limbeck_test;

namespace {

struct consistency_formulas {
  template <class Side, class F>
  void operator()(const Side& s, F&& f) const {
    const auto noise = lk::levels(lk::edm{}, 2.0), less = lk::levels(lk::edm{}, 0.5);
    f("a sample", lk::consistency_sample(lk::edm_boundary{}, s.a(), s.b(), noise));
    f("a sample between", lk::consistency_sample(lk::bidirectional_boundary{}, s.a(), s.b(), noise, less));
    f("a slope", lk::consistency_slope(lk::latent_boundary{}, s.a(), noise));
    f("a clean sample between", lk::clean_between(s.a(), s.b(), noise, less));
    f("a step of signals", lk::signal_step(s.a(), s.b(), noise, less));
    f("a matched velocity", lk::matched_velocity(s.a(), s.b(), s.d()));
    const auto angle = lk::levels(lk::trigonometric{.deviation = 0.5}, 0.7);
    const lk::tangent_options warm{lk::linear(0, 1), 0.1};
    f("a tangent", lk::consistency_tangent(s.a(), s.b(), s.d(), s.student(), angle, warm));
    const auto target = lk::continuous_consistency(s.a(), lk::noised(s.b(), s.d(), angle), s.d(), s.student(), angle, warm);
    static_assert(lk::device_target<decltype(target)>, "a team of threads may fill it");
    f("a target of formulas", target);
  }
};

}  // namespace

TEST_CASE("device: targets of consistency are the host's", "[thrust][diffusion]") {
  complaints found;
  for (const auto& [n, c] : std::vector<std::pair<std::size_t, std::size_t>>{{9, 2}, {8, 103}}) {
    compare_targets<float>(found, consistency_formulas{}, n, c, false, by_device);
    compare_targets<float>(found, consistency_formulas{}, n, c, true, by_device);
  }
  for (const auto& complaint : found) UNSCOPED_INFO(complaint);
  CHECK(found.empty());
}
