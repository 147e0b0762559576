// Formulas on a GPU, by warps and by blocks, written and inside a call, against the host's. Without a GPU it says so and returns 77.
#include "../support/formula_cases.hpp"
#include "../support/gpu_program.hpp"

using namespace limbeck_test;

int main() {
  return on_a_gpu([](const auto& take) {
    for (const std::size_t c : {3U, 40U, 1000U, 1025U, 5000U}) {
      for (const bool spoiled : {false, true}) {
        complaints found;
        compare_targets<float>(found, noise_formulas{}, 9, c, spoiled, by_device);
        compare_targets<float>(found, matching_formulas{}, 9, c, spoiled, by_device);
        take("formulas", found);
      }
      complaints found;
      compare_targets<float>(found, noise_formulas{}, 9, c, false, by_objective);
      compare_targets<float>(found, matching_formulas{}, 9, c, false, by_objective);
      take("formulas in a call", found);
    }
  });
}
