// The rows of targets on a GPU, by warps and by blocks, against the host's. Without a GPU it says so and returns 77.
#include "../support/gpu_program.hpp"
#include "../support/target_cases.hpp"

using namespace limbeck_test;

int main() {
  return on_a_gpu([](const auto& take) {
    for (const std::size_t c : {3U, 40U, 1000U, 1025U, 5000U}) {
      for (const bool spoiled : {false, true}) {
        complaints found;
        compare_targets<float>(found, ensembles{}, 9, c, spoiled, by_device);
        compare_targets<float>(found, transforms{}, 9, c, spoiled, by_device);
        take("targets", found);
      }
    }
  });
}
