// Losses of whole batches and their products on a GPU, against plain memory. Without a GPU it says so and returns 77, which ctest
// shows as skipped.
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
  take("products in double", compare_products<double>());
  lk::cublas_products blas;
  take("products by cuBLAS", compare_products<float>(&blas));
  take("products by cuBLAS in double", compare_products<double>(&blas));
  take("losses", compare_whole_batches<float>());
  take("learned", compare_learned<float>());
  for (const auto& c : all) std::puts(c.c_str());
  return all.empty() ? 0 : 1;
}
