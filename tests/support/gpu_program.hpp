#ifndef LIMBECK_TESTS_SUPPORT_GPU_PROGRAM_HPP
#define LIMBECK_TESTS_SUPPORT_GPU_PROGRAM_HPP

// What the programs of tests/device have in common.

#include <cstdio>
#include <string>
#include <vector>

namespace limbeck_test {

/// cases(take), where take(name, complaints) says what did not hold: 0 where all did, else 1. Without a GPU it says so and
/// returns 77, which ctest shows as skipped.
template <class Cases>
int on_a_gpu(const Cases& cases) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no device");
    return 77;
  }
  bool fine = true;
  cases([&](const char* name, const std::vector<std::string>& complaints) {
    std::printf("%s: %zu complaints\n", name, complaints.size());
    for (const std::string& c : complaints) std::puts(c.c_str());
    fine = fine && complaints.empty();
  });
  return fine ? 0 : 1;
}

}  // namespace limbeck_test

#endif
