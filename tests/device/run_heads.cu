// Heads on a GPU against the host's: the cases of tests/thrust/heads.cpp. Without a GPU it returns 77, which ctest shows as skipped.
#include "../support/gpu_program.hpp"
#include "../support/head_cases.hpp"

using namespace limbeck_test;

int main() {
  return on_a_gpu([](const auto& take) {
    take("two chunks", compare_heads<double, double>(8500, 6, 3));
    take("two blocks of weights", compare_heads<lk::bfloat16, lk::bfloat16>(40, 4100, 5));
    take("other heads", compare_other_heads());
  });
}
