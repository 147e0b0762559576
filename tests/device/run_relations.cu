// On a GPU: products, Limbeck's own and cuBLAS's, and losses of whole batches against the host's. Without a GPU it says so and
// returns 77.
#include "../support/relation_cases.hpp"

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
  for (const auto& c : all) std::puts(c.c_str());
  return all.empty() ? 0 : 1;
}
