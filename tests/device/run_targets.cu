// The rows of targets on a GPU, by warps and by blocks, against the host's. Without a GPU it says so and returns 77.
#include "../support/target_cases.hpp"

#include <cstdio>

using namespace limbeck_test;

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no device");
    return 77;
  }
  complaints all;
  for (const std::size_t c : {3, 40, 1000, 1025, 5000}) {
    for (const bool spoiled : {false, true}) {
      compare_targets<float>(all, ensembles{}, 9, c, spoiled, by_device);
      compare_targets<float>(all, transforms{}, 9, c, spoiled, by_device);
    }
  }
  for (const auto& c : all) std::puts(c.c_str());
  std::printf("%zu complaints\n", all.size());
  return all.empty() ? 0 : 1;
}
