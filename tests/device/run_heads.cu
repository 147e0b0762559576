// Heads on a GPU against the host's: the cases of tests/thrust/heads.cpp. Without a GPU it returns 77, which ctest shows as skipped.
#include "../support/head_cases.hpp"

#include <cstdio>

using namespace limbeck_test;

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no device");
    return 77;
  }
  complaints all;
  const auto take = [&](const complaints& found) { all.insert(all.end(), found.begin(), found.end()); };
  take(compare_heads<double, double>(8500, 6, 3));
  take(compare_heads<lk::bfloat16, lk::bfloat16>(40, 4100, 5));
  take(compare_other_heads());
  for (const auto& c : all) std::puts(c.c_str());
  return all.empty() ? 0 : 1;
}
