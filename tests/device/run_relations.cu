// Losses of whole batches and their products on a GPU, against plain memory. Without a GPU it says so and returns 77, which ctest
// shows as skipped.
#include "../support/device_map_cases.hpp"
#include "../support/gpu_program.hpp"
#include "../support/relation_cases.hpp"

#include <limbeck/cublas.hpp>

using namespace limbeck_test;

int main() {
  return on_a_gpu([&](const auto& take) {
    take("products", compare_products<float>());
    take("products in double", compare_products<double>());
    lk::cublas_products blas;
    take("products by cuBLAS", compare_products<float>(&blas));
    take("products by cuBLAS in double", compare_products<double>(&blas));
    take("losses", compare_whole_batches<float>());
    take("layers", compare_layers<float>());
    take("weights", compare_whole_weights<float>());
    take("learned", compare_learned<float>());
    take("maps", compare_maps<float>());
    take("losses through maps and views", compare_inside<float>());
  });
}
