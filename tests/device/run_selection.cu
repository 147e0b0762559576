// The selectors of tests/thrust on a GPU: the host's choices. Without a GPU it says so and returns 77, which ctest shows as
// skipped.
#include "../support/gpu_program.hpp"
#include "../support/selection_cases.hpp"

using namespace limbeck_test;

int main() {
  return on_a_gpu([&](const auto& take) {
    take("k_center, float", compare_k_center<float>());
    take("k_center, double", compare_k_center<double>());
    take("metrics, float", compare_metrics<float>());
    take("metrics, double", compare_metrics<double>());
    take("errors", compare_selection_errors<float>());
    take("scores", compare_scores<float>());
    take("whole scores", compare_scores<int>());
    take("signals", compare_signals<float>());
  });
}
