// The selectors of tests/thrust on a GPU: the host's choices. Without a GPU it says so and returns 77, which ctest shows as
// skipped.
#include "../support/selection_cases.hpp"

#include <cstdio>

using namespace limbeck_test;

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no device");
    return 77;
  }
  bool fine = true;
  const auto take = [&](const char* what, const findings& found) {
    std::printf("%s: %zu complaints\n", what, found.size());
    for (const auto& f : found) std::puts(f.c_str());
    fine = fine && found.empty();
  };
  take("k_center, float", compare_k_center<float>());
  take("k_center, double", compare_k_center<double>());
  take("metrics, float", compare_metrics<float>());
  take("metrics, double", compare_metrics<double>());
  take("errors", compare_selection_errors<float>());
  take("scores", compare_scores<float>());
  take("whole scores", compare_scores<int>());
  take("signals", compare_signals<float>());
  return fine ? 0 : 1;
}
