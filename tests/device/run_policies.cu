// On a GPU: losses of whole batches, selection, and targets' rows against the host's. Without a GPU it says so and returns 77.
#include "../support/relation_cases.hpp"
#include "../support/selection_cases.hpp"
#include "../support/target_cases.hpp"

#include <limbeck/cublas.hpp>

#include <cstdio>

using namespace limbeck_test;

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no device");
    return 77;
  }
  complaints all;
  const auto take = [&](const char* what, const complaints& found) {
    std::printf("%s: %zu complaints\n", what, found.size());
    all.insert(all.end(), found.begin(), found.end());
  };
  take("products", compare_products<float>());
  lk::cublas_products library;
  take("products of cuBLAS", compare_products<float>(&library));
  take("whole batches", compare_whole_batches<float>());
  take("scores", compare_scores<float>());
  take("signals", compare_signals<float>());
  take("metrics", compare_metrics<float>());
  take("errors of selectors", compare_selection_errors<float>());
  for (const bool spoilt : {false, true}) {
    complaints found;
    compare_targets<float>(found, transforms{}, 9, 41, spoilt, by_device);
    compare_targets<float>(found, transforms{}, 5, 1500, spoilt, by_device);
    take("targets", found);
  }
  for (const auto& c : all) std::puts(c.c_str());
  return all.empty() ? 0 : 1;
}
