// The cases of tests/thrust on a GPU: rows by warps and by blocks against plain memory. Without a GPU it says so and
// returns 77, which ctest shows as skipped. With the argument `few` it takes few and small batches, for compute-sanitizer.
#include "../support/device_cases.hpp"
#include "../support/gpu_program.hpp"

using namespace limbeck_test;

namespace {

/// Calls on one stream, none of which waits.
complaints compare_queued() {
  complaints out;
  const auto b = random_batch<float>(512, 2000, 3);
  device_batch<float> d(b);
  cudaStream_t stream = nullptr;
  if (cudaStreamCreate(&stream) != cudaSuccess) return {"no stream"};
  {
    lk::device_workspace ws(stream);
    std::vector<lk::device_result> results(8);
    const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
    for (auto& r : results) kl(d.s(), d.t(), lk::into(d.g()), ws, lk::deferred(r));
    for (auto& r : results)
      if (!same_bits(r.get().loss, results[0].get().loss)) out.push_back("the same call, other bits");
  }
  (void)cudaStreamDestroy(stream);
  return out;
}

}  // namespace

int main(int argc, char**) {
  return on_a_gpu([&](const auto& take) {
    if (argc > 1) return take("few", compare_all<float>({{4, 3}, {9, 26}, {3, 1025}}));
    // by lanes, by blocks; with 16-byte loads and without
    take("agreement", compare_all<float>({{4, 3}, {9, 26}, {33, 100}, {7, 1000}, {4, 1025}, {5, 4096}, {4, 32000}}));
    take("errors", compare_errors<float>(6, 40));
    take("errors of long rows", compare_errors<float>(6, 4000));
    take("deferred", compare_deferred<float>(20000, 40));
    take("deferred, long rows", compare_deferred<float>(6, 5000));
    take("queued", compare_queued());
  });
}
